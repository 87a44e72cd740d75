/*
 * release_publication.c
 *		The publications of releases: the tables of a publication of the
 *		application, each with the columns that one release sees.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "catalog/release_view.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "region/release_publication.h"

/*-------------------------------------------------------------------------
 * The rows of tandem.publication, and what the server has of them.
 *-------------------------------------------------------------------------
 */

typedef struct ReleasePublication
{
	int			release;
	char	   *name;
	char	   *source;
	Oid			owner;			/* InvalidOid: it was dropped, or not restored */
} ReleasePublication;

static ReleasePublication *
read_release_publication(uint64 row)
{
	ReleasePublication *publication = palloc(sizeof(ReleasePublication));

	publication->release = query_get_int(row, 1);
	publication->name = query_get_text(row, 2);
	publication->source = query_get_text(row, 3);
	publication->owner = query_get_oid(row, 4);
	return publication;
}

/* What was committed while a lock was waited for counts. */
static List *
release_publications(void)
{
	TandemQuery query;
	List	   *publications = NIL;
	uint64		rows;

	query_begin(&query);
	rows = query_run_latest(&query,
							"SELECT t.release, t.name::text, t.source::text, coalesce(p.pubowner, 0) "
							"FROM tandem.publication t LEFT JOIN pg_publication p ON p.pubname = t.name "
							"ORDER BY t.release");
	for (uint64 row = 0; row < rows; row++)
		publications = lappend(publications, read_release_publication(row));
	query_end(&query);
	return publications;
}

bool
release_publication_exists(void)
{
	return release_publications() != NIL;
}

int
release_publication_before(int release)
{
	int			before = 0;
	ListCell   *lc;

	foreach(lc, release_publications())
	{
		ReleasePublication *publication = lfirst(lc);

		if (publication->release < release && OidIsValid(publication->owner))
			before = publication->release;
	}
	return before;
}

static bool
release_is_expanded(int release)
{
	TandemQuery query;
	bool		expanded;

	query_begin(&query);
	query_int(&query, release);
	expanded = query_run(&query,
						 "SELECT FROM tandem.migration WHERE release = $1 AND phase <> 'aborted' LIMIT 1") > 0;
	query_end(&query);
	return expanded;
}

int
release_publication_to_take(int release)
{
	List	   *publications = release > 0 ? release_publications() : NIL;
	int			highest = publications == NIL ? 0 : release;
	ListCell   *lc;

	foreach(lc, publications)
	{
		const ReleasePublication *publication = lfirst(lc);

		if (publication->release > release && OidIsValid(publication->owner) &&
			release_is_expanded(publication->release))
			highest = publication->release;
	}
	return highest;
}

static ReleasePublication *
find_release_publication(List *publications, int release)
{
	ListCell   *lc;

	foreach(lc, publications)
	{
		if (((ReleasePublication *) lfirst(lc))->release == release)
			return lfirst(lc);
	}
	return NULL;
}

static void
record_publication(int release, const char *name, const char *source)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	query_name(&query, name);
	query_name(&query, source);
	(void) query_run(&query,
					 "INSERT INTO tandem.publication (release, name, source) VALUES ($1, $2, $3) "
					 "ON CONFLICT (release) DO UPDATE SET name = excluded.name, source = excluded.source");
	query_end(&query);
}

static void
forget_publication(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query, "DELETE FROM tandem.publication WHERE release = $1");
	query_end(&query);
}

/* The server's own error would not say what is to be done. */
static void
check_publication_owner(const ReleasePublication *publication)
{
	if (has_privs_of_role(GetUserId(), publication->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of publication %s", publication->name),
			 errdetail("The publication of release %d changes with the columns that the release sees.",
					   publication->release),
			 errhint("Call it as a member of role %s, or run ALTER PUBLICATION %s OWNER TO %s; before.",
					 quote_identifier(GetUserNameFromId(publication->owner, false)),
					 quote_identifier(publication->name),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/*-------------------------------------------------------------------------
 * Tables of a publication.
 *-------------------------------------------------------------------------
 */

typedef struct PublishedTable
{
	Oid			relid;
	char	   *name;			/* qualified and quoted */
	char	   *clause;			/* after ADD TABLE; NULL: the source has not
								 * got it */
	char	   *sent_anyhow;	/* columns that the release does not see, or
								 * NULL */
	bool		whole;			/* no column can be left out: REPLICA IDENTITY
								 * FULL */
	bool		has;			/* the publication of the release has it */
	bool		same;			/* and just so */
	bool		listed;			/* and a part of its columns */
	bool		fails;			/* without those that an UPDATE must send */
} PublishedTable;

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
static List *
tables_to_publish(const ReleasePublication *publication, Oid relid, int ending)
{
	TandemQuery query;
	List	   *tables = NIL;
	uint64		rows;

	query_begin(&query);
	query_name(&query, publication->source);
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
static void
refuse_whole_table(const ReleasePublication *publication,
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
static void
warn_of_columns_sent_anyhow(const ReleasePublication *publication,
							const PublishedTable *table)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publication %s sends columns of table %s that its release does not see: %s",
					quote_identifier(publication->name), table->name,
					table->sent_anyhow),
			 errdetail("They are of the replica identity of the table, which a publication must send."),
			 errhint("Move the replica identity to columns that the release sees before a server drops these.")));
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

static void
put_table(const ReleasePublication *publication, const PublishedTable *table)
{
	const char *name = quote_identifier(publication->name);

	if (table->same || (table->clause == NULL && !table->has))
		return;
	check_publication_owner(publication);
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
		List	   *tables = tables_to_publish(publication, InvalidOid, 0);
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

/* A migration that ends finds its columns in it, whatever has changed since. */
static void
put_tables(const ReleasePublication *publication, Oid relid, int ending)
{
	List	   *tables = OidIsValid(relid) ? tables_to_publish(publication, relid, ending)
	: lock_published_tables(publication);
	ListCell   *lc;

	foreach(lc, tables)
	{
		const PublishedTable *table = lfirst(lc);

		if (table->whole && table->sent_anyhow && ending == 0)
			refuse_whole_table(publication, table,
							   psprintf("Give the table a primary key, and run ALTER TABLE %s REPLICA IDENTITY DEFAULT;",
										table->name));
		if (table->sent_anyhow && ending == 0)
			warn_of_columns_sent_anyhow(publication, table);
		put_table(publication, table);
	}
}

/*-------------------------------------------------------------------------
 * Making them.
 *-------------------------------------------------------------------------
 */

/* Returns the options of the source, for WITH or SET; NULL if there is none. */
static char *
options_of_publication(const char *source)
{
	TandemQuery query;
	char	   *options;

	query_begin(&query);
	query_name(&query, source);
	options = query_run(&query,
						"SELECT options FROM tandem._publication_options WHERE name = $1") > 0
		? query_get_text(0, 1) : NULL;
	query_end(&query);
	return options;
}

static void
refuse_without_source(int release)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("there is no publication of a release yet whose tables that of release %d could take over",
					release),
			 errhint("Name the publication that the application's tables are in: SELECT tandem.create_publication(%d, 'name'); see SELECT pubname FROM pg_publication;",
					 release)));
}

static void
check_source(List *publications, const char *source)
{
	ReleasePublication *first = publications ? linitial(publications) : NULL;
	ListCell   *lc;

	foreach(lc, publications)
	{
		if (strcmp(((ReleasePublication *) lfirst(lc))->name, source) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("publication %s is itself that of a release",
							quote_identifier(source)),
					 errhint("Name the publication that was there before, %s, or leave it out.",
							 quote_identifier(first->source))));
	}
	/* a subscription takes the one or the other */
	if (first && strcmp(first->source, source) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the publications of releases have the tables of publication %s, not of %s",
						quote_identifier(first->source), quote_identifier(source)),
				 errhint("Leave the publication out, or add the tables to that one.")));
}

static ReleasePublication *
create_release_publication(int release, char *source, const char *options)
{
	ReleasePublication *publication = palloc(sizeof(ReleasePublication));
	char	   *name = release_view_schema(release);

	if (options_of_publication(name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("publication %s exists already, and was not made by pg_tandem",
						quote_identifier(name)),
				 errhint("Rename it: ALTER PUBLICATION %s RENAME TO ...; or, before there are views and publications of a release, set another prefix: SELECT tandem.set_release_prefix('...');",
						 quote_identifier(name))));
	ddl_run(psprintf("CREATE PUBLICATION %s WITH (%s)", quote_identifier(name),
					 options));
	record_publication(release, name, source);
	publication->release = release;
	publication->name = name;
	publication->source = source;
	publication->owner = GetUserId();
	return publication;
}

char *
release_publication_make(int release, char *source)
{
	List	   *publications = release_publications();
	ReleasePublication *publication = find_release_publication(publications,
															   release);
	char	   *options;

	if (source == NULL && publications == NIL)
		refuse_without_source(release);
	if (source)
		check_source(publications, source);
	else
		source = ((ReleasePublication *) linitial(publications))->source;
	options = options_of_publication(source);
	if (options == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("publication %s does not exist", quote_identifier(source)),
				 errhint("See SELECT pubname FROM pg_publication;")));
	if (publication == NULL || !OidIsValid(publication->owner))
		publication = create_release_publication(release, source, options);
	else
	{
		check_publication_owner(publication);
		ddl_run(psprintf("ALTER PUBLICATION %s SET (%s)",
						 quote_identifier(publication->name), options));
	}
	put_tables(publication, InvalidOid, 0);
	return publication->name;
}

void
release_publication_begin(int release)
{
	List	   *publications = release > 0 ? release_publications() : NIL;
	ReleasePublication *own = find_release_publication(publications, release);

	if (publications != NIL && (own == NULL || !OidIsValid(own->owner)))
		(void) release_publication_make(release, NULL);
}

void
release_publication_follow(List *relids, int ending)
{
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, release_publications())
	{
		ReleasePublication *publication = lfirst(lc);

		if (!OidIsValid(publication->owner))
			continue;
		foreach(table, relids)
			put_tables(publication, lfirst_oid(table), ending);
	}
}

/*-------------------------------------------------------------------------
 * DDL of users.
 *-------------------------------------------------------------------------
 */

bool
release_publication_is_recorded(void)
{
	return extension_index_has_rows("publication", "publication_pkey");
}

/* The command is another's, who can do nothing about the publication. */
static void
warn_of_table_left(const ReleasePublication *publication,
				   const PublishedTable *table)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publication %s does not follow the change of table %s",
					quote_identifier(publication->name), table->name),
			 errdetail("It changes with the rights of its owner and of the table's."),
			 errhint("As a member of role %s, with the rights of the owners of its tables, run SELECT tandem.create_publication(%d);",
					 quote_identifier(GetUserNameFromId(publication->owner, false)),
					 publication->release)));
}

static void
follow_changed_table(const ReleasePublication *publication,
					 const PublishedTable *table)
{
	if (table->fails && table->whole && table->sent_anyhow)
		refuse_whole_table(publication, table,
						   "Choose a unique index instead (REPLICA IDENTITY USING INDEX), or end the migrations of the table first, by tandem.contract or tandem.abort.");
	if (!table->fails &&
		!(has_privs_of_role(GetUserId(), publication->owner) &&
		  compat_is_table_owner(table->relid, GetUserId())))
	{
		warn_of_table_left(publication, table);
		return;
	}
	/* of a partition's identity the list is that of its topmost table */
	lock_relations(list_make1_oid(table->relid), ShareUpdateExclusiveLock);
	put_table(publication, table);
	if (table->sent_anyhow)
		warn_of_columns_sent_anyhow(publication, table);
}

/* A table that the command has not locked is as it was. */
static void
follow_changed_tables(const ReleasePublication *publication, Oid root,
					  List *gone, bool failing)
{
	ListCell   *lc;

	foreach(lc, tables_to_publish(publication, root, 0))
	{
		const PublishedTable *table = lfirst(lc);

		if (table->same || (table->clause == NULL && !list_member_oid(gone, table->relid)))
			continue;
		if (table->fails || (!failing && lock_is_ours(table->relid)))
			follow_changed_table(publication, table);
	}
}

void
release_publication_table_changed(List *roots, List *gone, bool failing)
{
	ListCell   *lc;
	ListCell   *root;

	foreach(lc, release_publications())
	{
		const ReleasePublication *publication = lfirst(lc);

		if (!OidIsValid(publication->owner))
			continue;
		foreach(root, roots)
			follow_changed_tables(publication, lfirst_oid(root), gone, failing);
	}
}

/*-------------------------------------------------------------------------
 * Dropping them.
 *-------------------------------------------------------------------------
 */

/* Will the end of the migration change what the publication has of its tables? */
static bool
end_changes_tables(const ReleasePublication *publication, List *relids)
{
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, relids)
	{
		foreach(table, tables_to_publish(publication, lfirst_oid(lc), 0))
		{
			const PublishedTable *published = lfirst(table);

			if (published->listed || !published->same)
				return true;
		}
	}
	return false;
}

void
release_publication_check_end(const Migration *migration, int retired)
{
	List	   *relids = sync_relations_of_migration(migration->id);
	ListCell   *lc;

	foreach(lc, release_publications())
	{
		ReleasePublication *publication = lfirst(lc);

		if (!OidIsValid(publication->owner))
			continue;
		if (publication->release < retired ||
			(retired == 0 && publication->release == migration->release) ||
			end_changes_tables(publication, relids))
			check_publication_owner(publication);
	}
}

static void
drop_release_publication(const ReleasePublication *publication)
{
	if (OidIsValid(publication->owner))
	{
		check_publication_owner(publication);
		ddl_run(psprintf("DROP PUBLICATION %s",
						 quote_identifier(publication->name)));
	}
	forget_publication(publication->release);
}

void
release_publication_end(const Migration *migration, int retired)
{
	int			aborted = retired ? 0 : release_view_aborted(migration->id);
	ListCell   *lc;

	foreach(lc, release_publications())
	{
		ReleasePublication *publication = lfirst(lc);

		if (publication->release < retired || publication->release == aborted)
			drop_release_publication(publication);
	}
	release_publication_follow(sync_relations_of_migration(migration->id),
							   migration->id);
}
