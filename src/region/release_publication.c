/*
 * release_publication.c
 *		The publications of releases: the tables of a publication of the
 *		application, each with the columns that one release sees.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "catalog/region_row.h"
#include "catalog/release_view.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "region/published_table.h"
#include "region/release_publication.h"
#include "region/release_record.h"

bool
release_publication_exists(void)
{
	return release_record_list() != NIL;
}

int
release_publication_before(int release)
{
	int			before = 0;
	ListCell   *lc;

	foreach(lc, release_record_list())
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
	List	   *publications = release > 0 ? release_record_list() : NIL;
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
				 first->source_gone
				 ? errhint("That one was dropped: make it again, or run SELECT tandem.drop_publications(); first.")
				 : errhint("Leave the publication out, or add the tables to that one.")));
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
	release_record_write(release, name, source);
	publication->release = release;
	publication->name = name;
	publication->source = source;
	publication->owner = GetUserId();
	publication->source_gone = false;
	publication->stale = false;
	publication->other_options = false;
	return publication;
}

static void
refuse_missing_source(int release, const char *source, bool gone)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("publication %s does not exist", quote_identifier(source)),
			 gone
			 ? errdetail("It was the source of the publications of releases; another one of that name counts once it is named.")
			 : 0,
			 gone
			 ? errhint("Make it again and run SELECT tandem.create_publication(%d, %s); or, to be rid of the publications of releases, run SELECT tandem.drop_publications();",
					   release, quote_literal_cstr(source))
			 : errhint("See SELECT pubname FROM pg_publication;")));
}

/* Returns the source, whose options these are. */
static char *
check_source_exists(List *publications, int release, char *source, char **options)
{
	ReleasePublication *first = publications ? linitial(publications) : NULL;

	if (source)
		check_source(publications, source);
	else if (first->source_gone)
		refuse_missing_source(release, first->source, true);
	else
		source = first->source;
	*options = options_of_publication(source);
	if (*options == NULL)
		refuse_missing_source(release, source, first != NULL);
	if (first && first->source_gone)
	{
		ListCell   *lc;

		release_record_note_source(source);
		foreach(lc, publications)
			((ReleasePublication *) lfirst(lc))->source_gone = false;
	}
	return source;
}

char *
release_publication_make(int release, char *source)
{
	List	   *publications = release_record_list();
	ReleasePublication *publication = release_record_find(publications,
														  release);
	char	   *options;

	if (source == NULL && publications == NIL)
		refuse_without_source(release);
	source = check_source_exists(publications, release, source, &options);
	if (publication == NULL || !OidIsValid(publication->owner))
		publication = create_release_publication(release, source, options);
	else
	{
		release_record_check_owner(publication);
		/* which may have lists that the server refuses under them */
		if (publication->other_options)
			published_table_take_out(publication);
		ddl_run(psprintf("ALTER PUBLICATION %s SET (%s)",
						 quote_identifier(publication->name), options));
		publication->other_options = false;
	}
	published_table_put_all(publication, InvalidOid, 0);
	return publication->name;
}

void
release_publication_begin(int release)
{
	List	   *publications = release > 0 ? release_record_list() : NIL;
	ReleasePublication *own = release_record_find(publications, release);

	if (publications != NIL && (own == NULL || !OidIsValid(own->owner)))
		(void) release_publication_make(release, NULL);
}

void
release_publication_follow(List *relids, int ending)
{
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, release_record_list())
	{
		ReleasePublication *publication = lfirst(lc);

		if (!OidIsValid(publication->owner))
			continue;
		foreach(table, relids)
			published_table_put_all(publication, lfirst_oid(table), ending);
	}
}

/* Does the source have the table, or a partition of it? */
static bool
source_has_table(const ReleasePublication *publication, Oid relid)
{
	ListCell   *lc;

	if (publication->source_gone)
		return false;
	foreach(lc, published_table_list(publication, relid, 0))
	{
		if (((PublishedTable *) lfirst(lc))->clause)
			return true;
	}
	return false;
}

void
release_publication_warn_without_release(const Migration *migration, Oid relid)
{
	static int	warned = 0;
	List	   *publications = migration->release == 0 && migration->id != warned
	? release_record_list() : NIL;
	ReleasePublication *last = publications ? llast(publications) : NULL;

	if (last == NULL || !source_has_table(last, relid))
		return;
	/* once in a script */
	warned = migration->id;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("migration \"%s\" has no release, and its table %s is in publication %s",
					migration->name, quoting_relation(relid),
					quote_identifier(last->source)),
			 errdetail("Its columns are sent to, and taken from, every server; contract and abort do not change that, so replication stops where another server still sends a column that is gone here."),
			 errhint("Run CALL tandem.abort(%s); and begin with SELECT tandem.create_migration(%s, %d);",
					 quote_literal_cstr(migration->name),
					 quote_literal_cstr(migration->name), last->release + 1)));
}

/* Returns the columns of the migration that the user's list leaves out, or NULL. */
static char *
columns_not_listed(const ReleasePublication *last, const Migration *migration,
				   Oid relid, char **listed)
{
	TandemQuery query;
	char	   *columns = NULL;

	query_begin(&query);
	query_name(&query, last->source);
	query_oid(&query, table_root(relid));
	query_int(&query, migration->release);
	if (query_run_latest(&query,
						 "SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE NOT a.attnum = ANY (r.prattrs)), "
						 "string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) "
						 "FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid "
						 "JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' "
						 "WHERE p.pubname = $1 AND r.prrelid = $2 AND r.prattrs IS NOT NULL AND (a.attnum = ANY (r.prattrs) "
						 "OR a.attname IN (SELECT h.name FROM tandem._hidden_columns($2, $3 - 1, 0) h "
						 "EXCEPT SELECT h.name FROM tandem._hidden_columns($2, $3, 0) h)) "
						 "HAVING bool_or(NOT a.attnum = ANY (r.prattrs))") > 0)
	{
		columns = query_get_text(0, 1);
		*listed = query_get_text(0, 2);
	}
	query_end(&query);
	return columns;
}

void
release_publication_warn_of_list(const Migration *migration, Oid relid)
{
	static uint32 told = 0;
	List	   *publications = migration->release > 0 ? release_record_list() : NIL;
	ReleasePublication *last = publications ? llast(publications) : NULL;
	const char *table = quoting_relation(table_root(relid));
	char	   *listed;
	char	   *columns = last && !last->source_gone
	? columns_not_listed(last, migration, relid, &listed) : NULL;
	uint32		hash = columns ? string_hash(columns, strlen(columns) + 1) ^ relid : 0;

	if (columns == NULL || hash == told)
		return;
	/* once for what the calls of a script add to it */
	told = hash;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publication %s has a list of columns of table %s, which lacks what migration \"%s\" adds: %s",
					quote_identifier(last->source), table, migration->name, columns),
			 errdetail("No publication of a release sends it: what only the new columns say does not arrive."),
			 errhint("Give all tables of the publication, this one with its new columns: ALTER PUBLICATION %s SET TABLE %s (%s), ...; the publications of releases follow.",
					 quote_identifier(last->source), table, listed)));
}

/*-------------------------------------------------------------------------
 * DDL of users.
 *-------------------------------------------------------------------------
 */

/*
 * The command is another's, who can do nothing about the publication.  A tree is
 * told of once, whichever of its tables comes first.
 */
static void
warn_of_table_left(const ReleasePublication *publication,
				   const PublishedTable *table)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publication %s does not follow the change of table %s",
					quote_identifier(publication->name),
					quoting_relation(table_root(table->relid))),
			 publication->other_options
			 ? errdetail("Its source has another publish_via_partition_root now.")
			 : errdetail("It changes with the rights of its owner and of the table's."),
			 errhint("As a member of role %s, with the rights of the owners of its tables, run SELECT tandem.create_publication(%d);",
					 quote_identifier(GetUserNameFromId(publication->owner, false)),
					 publication->release)));
}

/*
 * A worker applies an UPDATE by the replica identity of its own table, which the
 * other server must send.  With a key that has moved in one region alone neither
 * applies anything of the other, for good.
 */
static void
refuse_other_identity(const ReleasePublication *publication, const PublishedTable *table)
{
	const char *name = quoting_relation(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the replica identity of table %s cannot move to columns that release %d does not see",
					name, publication->release),
			 errdetail("The other regions send and expect the one that it has now: neither would apply what the other writes."),
			 errhint("Once all regions have expanded and filled, in each run SELECT tandem.take_release(); SELECT tandem.drop_publications(); ALTER TABLE %s REPLICA IDENTITY FULL; and when that has arrived everywhere, move the key; see \"A key that changes its type\" in doc/regions.md.",
					 name)));
}

static void
follow_changed_table(const ReleasePublication *publication,
					 const PublishedTable *table, bool *told)
{
	if (table->fails && !table->whole && region_others() != NIL)
		refuse_other_identity(publication, table);
	if (table->fails && table->whole && table->sent_anyhow)
		published_table_refuse_whole(publication, table,
									 region_others() != NIL
									 ? "To move a key, once all regions have expanded and filled run SELECT tandem.take_release(); SELECT tandem.drop_publications(); in each first; see \"A key that changes its type\" in doc/regions.md."
									 : "Choose a unique index instead (REPLICA IDENTITY USING INDEX), or end the migrations of the table first, by tandem.contract or tandem.abort.");
	if (publication->other_options ||
		(!table->fails &&
		 !(has_privs_of_role(GetUserId(), publication->owner) &&
		   compat_is_table_owner(table->relid, GetUserId()))))
	{
		/* of a tree, one partition */
		if (!*told)
			warn_of_table_left(publication, table);
		*told = true;
		return;
	}
	/* of a partition's identity the list is that of its topmost table */
	lock_relations(list_make1_oid(table->relid), ShareUpdateExclusiveLock);
	published_table_put(publication, table);
	if (table->sent_anyhow)
		published_table_warn(publication, table);
}

/*
 * A table that the command has not locked is as it was, but for one that may have
 * come to the source or left it: gone.
 */
static void
follow_changed_tables(const ReleasePublication *publication, Oid root,
					  List *gone)
{
	bool		told = false;
	ListCell   *lc;

	foreach(lc, published_table_list(publication, root, 0))
	{
		const PublishedTable *table = lfirst(lc);

		if (table->same || (table->clause == NULL && !list_member_oid(gone, table->relid)))
			continue;
		if (table->fails || list_member_oid(gone, table->relid) || lock_is_ours(table->relid))
			follow_changed_table(publication, table, &told);
	}
}

void
release_publication_table_changed(List *roots, List *gone)
{
	ListCell   *lc;
	ListCell   *root;

	foreach(lc, release_record_list())
	{
		const ReleasePublication *publication = lfirst(lc);

		if (!OidIsValid(publication->owner))
			continue;
		foreach(root, roots)
			follow_changed_tables(publication, lfirst_oid(root), gone);
	}
}

void
release_publication_source_changed(const char *source)
{
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, release_record_list())
	{
		const ReleasePublication *publication = lfirst(lc);
		bool		told = false;

		if (!OidIsValid(publication->owner) || publication->source_gone ||
			strcmp(publication->source, source) != 0)
			continue;
		foreach(table, published_table_list(publication, InvalidOid, 0))
		{
			if (!((PublishedTable *) lfirst(table))->same)
				follow_changed_table(publication, lfirst(table), &told);
		}
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
		foreach(table, published_table_list(publication, lfirst_oid(lc), 0))
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

	foreach(lc, release_record_list())
	{
		ReleasePublication *publication = lfirst(lc);

		/* the tables of many partitions are read for a message alone */
		if (!OidIsValid(publication->owner) ||
			(has_privs_of_role(GetUserId(), publication->owner) &&
			 !publication->other_options))
			continue;
		if (publication->release < retired ||
			(retired == 0 && publication->release == migration->release))
			release_record_check_owner(publication);
		else if (end_changes_tables(publication, relids))
		{
			release_record_check_owner(publication);
			release_record_check_options(publication);
		}
	}
}

static void
drop_release_publication(const ReleasePublication *publication)
{
	if (OidIsValid(publication->owner))
	{
		release_record_check_owner(publication);
		ddl_run(psprintf("DROP PUBLICATION %s",
						 quote_identifier(publication->name)));
	}
	release_record_delete(publication->release);
}

void
release_publication_end(const Migration *migration, int retired)
{
	int			aborted = retired ? 0 : release_view_aborted(migration->id);
	ListCell   *lc;

	foreach(lc, release_record_list())
	{
		ReleasePublication *publication = lfirst(lc);

		if (publication->release < retired || publication->release == aborted)
			drop_release_publication(publication);
	}
	release_publication_follow(sync_relations_of_migration(migration->id),
							   migration->id);
}

/* Without the records nothing has them take another one when a migration ends. */
static void
check_no_subscription_takes_one(void)
{
	TandemQuery query;
	char	   *subscription = NULL;

	query_begin(&query);
	if (query_run_latest(&query, "SELECT name FROM tandem._wanted_subscriptions(0) LIMIT 1") > 0)
		subscription = query_get_text(0, 1);
	query_end(&query);
	if (subscription)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("subscription %s takes the publication of a release",
						quote_identifier(subscription)),
				 errdetail("It would not take another one any more when a migration ends."),
				 errhint("Run SELECT tandem.take_release(); to have it take all columns, or drop it; then call this again.")));
}

static char *
say_what_it_takes(const Region *region, void *arg)
{
	int			release = *(int *) arg;

	return region->expanded < release ? psprintf("has %s", region_release_shown(region->expanded)) : NULL;
}

/* One that has not expanded takes a publication of this region. */
static void
check_no_region_takes_one(void)
{
	List	   *publications = release_record_list();
	int			release = publications ? ((ReleasePublication *) llast(publications))->release : 0;
	const char *first;
	char	   *regions = region_list(say_what_it_takes, &release, &first);

	if (regions)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("other regions take publications of releases"),
				 errdetail_internal("%s.", regions),
				 errhint("Expand up to release %d there, and call tandem.migrate; then call this again. If region %s is no more, drop its subscription and run SELECT tandem.leave_region(%s);",
						 release, first, quote_literal_cstr(first))));
}

void
release_publication_drop_all(void)
{
	ListCell   *lc;

	check_no_subscription_takes_one();
	check_no_region_takes_one();
	foreach(lc, release_record_list())
	{
		ReleasePublication *publication = lfirst(lc);

		if (OidIsValid(publication->owner) &&
			!has_privs_of_role(GetUserId(), publication->owner))
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("publication %s is not dropped: it belongs to another role",
							quote_identifier(publication->name)),
					 errhint("As a member of role %s run SELECT tandem.drop_publications();",
							 quote_identifier(GetUserNameFromId(publication->owner, false)))));
		else
			drop_release_publication(publication);
	}
}
