/*
 * published_table.c
 *		The tables of the publication of a release, each with the columns that
 *		it is to send.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "region/published_table.h"

static PublishedTable *
read_published_table(uint64 row)
{
	PublishedTable *table = palloc(sizeof(PublishedTable));

	table->relid = query_get_oid(row, 1);
	table->name = query_get_text(row, 2);
	table->clause = query_get_text(row, 3);
	table->sent_anyhow = query_get_text(row, 4);
	table->whole = query_get_bool(row, 5);
	table->has = query_get_bool(row, 6);
	table->same = query_get_bool(row, 7);
	table->listed = query_get_bool(row, 8);
	table->fails = query_get_bool(row, 9);
	return table;
}

/* Returns all tables, or those of the tree of relid. */
List *
published_table_list(const ReleasePublication *publication, Oid relid, int ending)
{
	TandemQuery query;
	List	   *tables = NIL;
	uint64		rows;

	query_begin(&query);
	/* without it there is nothing to be added, but columns that go */
	query_name(&query, publication->source_gone ? publication->name : publication->source);
	query_int(&query, publication->release);
	query_name(&query, publication->name);
	query_oid(&query, relid);
	query_int(&query, ending);
	rows = query_run_latest(&query,
							"SELECT relation, qualified, clause, sent_anyhow, whole, has, same, listed, fails "
							"FROM tandem._publication_tables($1, $2, $3, $4, $5) ORDER BY qualified");
	for (uint64 row = 0; row < rows; row++)
		tables = lappend(tables, read_published_table(row));
	query_end(&query);
	return tables;
}

/* The server refuses a list of columns together with REPLICA IDENTITY FULL. */
void
published_table_refuse_whole(const ReleasePublication *publication,
							 const PublishedTable *table, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table %s has REPLICA IDENTITY FULL, so publication %s cannot leave out what its release does not see: %s",
					table->name, quote_identifier(publication->name),
					table->sent_anyhow),
			 errdetail("A server whose table does not have these columns could not apply the rows."),
			 errhint("%s", hint)));
}

/*
 * An UPDATE of a table whose replica identity the list does not cover would be an
 * error, for the application.
 */
void
published_table_warn(const ReleasePublication *publication,
					 const PublishedTable *table)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publication %s sends columns of table %s that its release does not see: %s",
					quote_identifier(publication->name), table->name,
					table->sent_anyhow),
			 errdetail("They are of the replica identity of the table, which a publication must send."),
			 errhint("Before a server drops them the replica identity must move to columns that the release sees: of a key that change_column changes, tandem.take_keys does that.")));
}

/* The server's own error would not say who could do it. */
static void
refuse_table_of_another(const ReleasePublication *publication,
						const PublishedTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of table %s", table->name),
			 errdetail("It is in publication %s, so it comes into that of release %d.",
					   quote_identifier(publication->source),
					   publication->release),
			 errhint("Have a role with the rights of the owners of all its tables run SELECT tandem.create_publication(%d); before.",
					 publication->release)));
}

void
published_table_put(const ReleasePublication *publication, const PublishedTable *table)
{
	const char *name = quote_identifier(publication->name);

	if (table->same || (table->clause == NULL && !table->has))
		return;
	/* the server refuses a list of a partitioned table then */
	release_record_check_options(publication);
	release_record_check_owner(publication);
	if (table->clause && !compat_is_table_owner(table->relid, GetUserId()))
		refuse_table_of_another(publication, table);
	if (table->has)
		ddl_run(psprintf("ALTER PUBLICATION %s DROP TABLE ONLY %s", name,
						 table->name));
	if (table->clause)
		ddl_run(psprintf("ALTER PUBLICATION %s ADD TABLE %s", name, table->clause));
}

/* Adds the table, and what it is a partition of, which gets no other meanwhile. */
static List *
add_table_and_parents(List *relids, Oid relid)
{
	for (; OidIsValid(relid); relid = partition_parent(relid))
		relids = list_append_unique_oid(relids, relid);
	return relids;
}

/*
 * All of them at once: ADD TABLE would wait for one while it has another.  Who was
 * waited for may have changed what the publication is to have of a table, so that
 * is read again, until nothing has come to it.  Returns the tables.
 */
static List *
lock_published_tables(const ReleasePublication *publication)
{
	List	   *locked = NIL;

	for (;;)
	{
		List	   *tables = published_table_list(publication, InvalidOid, 0);
		List	   *relids = list_copy(locked);
		ListCell   *lc;

		foreach(lc, tables)
			relids = add_table_and_parents(relids,
										   ((PublishedTable *) lfirst(lc))->relid);
		if (list_length(relids) == list_length(locked))
			return tables;
		list_sort(relids, list_oid_cmp);
		lock_relations(relids, ShareUpdateExclusiveLock);
		locked = relids;
	}
}

void
published_table_take_out(const ReleasePublication *publication)
{
	ListCell   *lc;

	foreach(lc, lock_published_tables(publication))
	{
		const PublishedTable *table = lfirst(lc);

		if (table->has && !table->same)
			ddl_run(psprintf("ALTER PUBLICATION %s DROP TABLE ONLY %s",
							 quote_identifier(publication->name), table->name));
	}
}

/* A migration that ends finds its columns in it, whatever has changed since. */
void
published_table_put_all(const ReleasePublication *publication, Oid relid, int ending)
{
	List	   *tables = OidIsValid(relid) ? published_table_list(publication, relid, ending)
	: lock_published_tables(publication);
	ListCell   *lc;

	foreach(lc, tables)
	{
		const PublishedTable *table = lfirst(lc);

		if (table->whole && table->sent_anyhow && ending == 0)
			published_table_refuse_whole(publication, table,
										 psprintf("Give the table a primary key, and run ALTER TABLE %s REPLICA IDENTITY DEFAULT;",
												  table->name));
		if (table->sent_anyhow && ending == 0)
			published_table_warn(publication, table);
		published_table_put(publication, table);
	}
}
