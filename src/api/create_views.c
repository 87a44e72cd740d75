/*
 * create_views.c
 *		SQL functions create_views and drop_views: the views of a release.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/changed_default.h"
#include "catalog/operation.h"
#include "catalog/registry.h"
#include "catalog/release_view.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "views/versioned_view.h"
#include "views/view_dependents.h"
#include "views/view_schema.h"
#include "views/views_end.h"

SQL_FUNCTION(tandem_create_views);
SQL_FUNCTION(tandem_drop_views);

/*
 * Should views of this table be created if the call names no tables?  A
 * superuser owns all tables, but does not mean those on which others run
 * migrations.
 */
static bool
table_is_of_caller(const ViewedTable *table)
{
	return compat_is_table_owner(table->relation, GetUserId()) &&
		(authority_is_granted(table->owner) || authority_is_granted(table->maker));
}

/* Returns the OIDs of such tables. */
static List *
tables_of_caller(int release)
{
	List	   *mine = NIL;
	ListCell   *lc;

	foreach(lc, release_view_tables(release))
	{
		if (table_is_of_caller(lfirst(lc)))
			mine = list_append_unique_oid(mine,
										  ((ViewedTable *) lfirst(lc))->relation);
	}
	if (mine == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no migration works on a table of yours"),
				 errhint("Call it as the owner of the tables, after the other calls of the migration; or name the tables, relations => '{...}', or their schemas, schemas => '{...}'.")));
	return mine;
}

/*
 * Returns those in a schema, and the tables there, whether a migration works on
 * them or not, whose owner the caller is or has been granted.
 */
static List *
tables_of_caller_in_schema(int release, Oid schema)
{
	List	   *mine = NIL;
	ListCell   *lc;

	foreach(lc, release_view_tables(release))
	{
		ViewedTable *table = lfirst(lc);

		if (table->schema == schema && table_is_of_caller(table))
			mine = list_append_unique_oid(mine, table->relation);
	}
	foreach(lc, release_view_tables_in_schema(schema))
	{
		ViewedTable *table = lfirst(lc);

		if (table_is_of_caller(table))
			mine = list_append_unique_oid(mine, table->relation);
	}
	if (mine == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no table in schema \"%s\" is yours",
						quoting_shown_schema(schema)),
				 errhint("Call it as the owner of the tables, or name the tables: relations => '{...}'.")));
	return mine;
}

static void
check_no_null_name(List *names, const char *argument)
{
	if (names == NIL || list_member_ptr(names, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 names == NIL ? errmsg("argument \"%s\" must not be empty", argument)
				 : errmsg("argument \"%s\" must not contain nulls", argument),
				 errhint("Leave it out for the tables of your own migrations.")));
}

/* Checks that the table can have a view of a release. */
static void
check_table_to_show(Oid relid)
{
	char		kind = get_rel_relkind(relid);
	char	   *name = quoting_raw_name(relid);

	authority_check_owner(relid);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name),
				 errdetail_relkind_not_supported(kind),
				 errhint("Name ordinary and partitioned tables.")));
	if (get_rel_relispartition(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is a partition", name),
				 errhint("Name its partitioned table: %s.",
						 quoting_relation(llast_oid(get_partition_ancestors(relid))))));
	if (get_rel_namespace(relid) == extension_schema())
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to pg_tandem itself", name),
				 errhint("Name tables that the application keeps its data in.")));
	if (relation_persistence(relid) == RELPERSISTENCE_TEMP ||
		relid < FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is a %s table", name,
						relid < FirstNormalObjectId ? "system" : "temporary"),
				 errhint("Name tables that the application keeps its data in.")));
}

static void
check_release_sees_table(int release, Oid relid)
{
	char	   *migration = operation_hides_table(release, relid);

	if (migration)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("release %d does not see table \"%s\"", release,
						quoting_shown_name(relid)),
				 errdetail("Migration \"%s\" adds it for a later release, or drops it.", migration),
				 errhint("Leave it out, or name a release that sees it.")));
}

/*
 * A table was renamed, and another one has its name since: what the release sees
 * under that name is the former one, as long as its views stay as they are.
 * Returns relids without such tables; those that were named are an error.
 */
static List *
tables_with_name(int release, List *relids, bool named)
{
	List	   *others = NIL;
	List	   *nameless = release_view_is_fixed(release)
	? release_view_nameless(release, relids, &others) : NIL;
	ListCell   *lc;
	ListCell   *other;

	forboth(lc, nameless, other, others)
		ereport(named ? ERROR : NOTICE,
				(errcode(named ? ERRCODE_DUPLICATE_TABLE : ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("release %d does not see table \"%s\"", release,
						quoting_shown_name(lfirst_oid(lc))),
				 errdetail("Under that name it sees table %s, which had it before.",
						   quoting_relation(lfirst_oid(other))),
				 named ? errhint("Leave it out, rename it, or name a release that sees it.") : 0));
	return list_difference_oid(relids, nameless);
}

static List *
tables_named(int release, List *names)
{
	List	   *relids = NIL;
	ListCell   *lc;

	check_no_null_name(names, "relations");
	foreach(lc, names)
	{
		Oid			relid = operation_table_called(quoting_parse_name(lfirst(lc)), NULL, release);

		if (!OidIsValid(relid))
			relid = release_view_table(quoting_resolve_relation(lfirst(lc)));
		check_table_to_show(relid);
		check_release_sees_table(release, relid);
		relids = list_append_unique_oid(relids, relid);
	}
	return tables_with_name(release, relids, true);
}

static List *
tables_in_schemas(int release, List *names)
{
	List	   *relids = NIL;
	ListCell   *lc;

	check_no_null_name(names, "schemas");
	foreach(lc, names)
	{
		Oid			schema = get_namespace_oid(lfirst(lc), true);

		if (!OidIsValid(schema))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("schema \"%s\" does not exist", (char *) lfirst(lc)),
					 errhint("Give the names as they are in pg_namespace, without quotes.")));
		relids = list_concat_unique_oid(relids,
										tables_of_caller_in_schema(release, schema));
	}
	return relids;
}

/* Without those that were added for a later release, or are dropped, or whose name another one has. */
static List *
tables_seen(int release, List *relids)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (operation_hides_table(release, lfirst_oid(lc)) == NULL)
			seen = lappend_oid(seen, lfirst_oid(lc));
	}
	return tables_with_name(release, seen, false);
}

static List *
tables_to_show(FunctionCallInfo fcinfo, int release)
{
	List	   *relids = NIL;

	if (PG_ARGISNULL(1) && PG_ARGISNULL(2))
		return tables_seen(release, tables_of_caller(release));
	if (!PG_ARGISNULL(1))
		relids = tables_named(release, argument_strings(fcinfo, 1));
	if (!PG_ARGISNULL(2))
		relids = list_concat_unique_oid(relids,
										tables_seen(release, tables_in_schemas(release, argument_strings(fcinfo, 2))));
	return relids;
}

static void
check_release_is_served(int release)
{
	Registry	registry;

	registry_read(&registry);
	if (registry_state_of(&registry, release) == RELEASE_RETIRED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("release %d is retired", release),
				 errdetail("The database serves release %d and later.",
						   registry.lowest),
				 errhint("Create the views of a release that is served; see SELECT release, state FROM tandem.releases;")));
}

static void
check_release_not_retired(int release, Oid relid)
{
	char	   *migration = release_view_retired_by(relid, release);

	if (migration)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("release %d is retired", release),
				 errdetail("Migration \"%s\" of a later release has ended for table \"%s\".",
						   migration, quoting_shown_name(relid)),
				 errhint("Create the views of a release that is served; see SELECT release, state FROM tandem.releases;")));
}

/* Locks in the order that all changes of several views use. */
static void
lock_views_of_tables(int release, List *tables)
{
	List	   *sorted = list_copy(tables);
	ListCell   *lc;

	release_view_lock_schema(release);
	check_release_is_served(release);
	list_sort(sorted, list_oid_cmp);
	foreach(lc, sorted)
	{
		release_view_lock(lfirst_oid(lc));
		check_release_not_retired(release, lfirst_oid(lc));
	}

	/*
	 * the table may have been dropped or given away while we waited for the
	 * lock
	 */
	lock_relations(sorted, AccessShareLock);
	foreach(lc, sorted)
		check_table_to_show(lfirst_oid(lc));
}

/* Create all schemas before granting on any of them; see view_schema_grant. */
static void
ensure_view_schemas(List *names)
{
	List	   *ensured = NIL;
	ListCell   *lc;
	ListCell   *other;

	foreach(lc, names)
	{
		bool		done = false;

		foreach(other, ensured)
			done = done || strcmp(lfirst(other), lfirst(lc)) == 0;
		if (done)
			continue;
		view_schema_ensure(lfirst(lc));
		ensured = lappend(ensured, lfirst(lc));
	}
}

static void
make_release_views(int release, List *tables, bool refresh)
{
	List	   *schemas = view_schema_choose(release, tables);
	bool		fixed = release_view_is_fixed(release);
	List	   *grants = NIL;
	ListCell   *table;
	ListCell   *schema;

	ensure_view_schemas(schemas);
	forboth(table, tables, schema, schemas)
		versioned_view_make(release, lfirst_oid(table),
							get_namespace_oid(lfirst(schema), false), fixed,
							refresh, &grants);
	view_schema_revoke(grants);
	foreach(table, tables)
		changed_default_put(release, lfirst_oid(table));
}

Datum
tandem_create_views(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	bool		refresh = argument_bool(fcinfo, 3, "refresh");
	List	   *tables;

	ddl_refuse_nested();
	if (setting_at_once && release < registry_lowest_final())
	{
		/* the script of a later one makes them for the time until contract */
		ereport(NOTICE,
				(errmsg("release %d has ended, skipping its views", release)));
		PG_RETURN_VOID();
	}
	tables = tables_to_show(fcinfo, release);
	lock_views_of_tables(release, tables);
	make_release_views(release, tables, refresh);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * SQL function drop_views: what an ended release has left of its views.
 *-------------------------------------------------------------------------
 */

/* The views of a release that is served are not dropped by mistake. */
static void
check_release_has_ended(int release, const ReleaseView *view)
{
	char	   *drop;

	if (view->ended)
		return;
	drop = view_drop_call(view->view);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("release %d has not ended", release),
			 errdetail("View %s still shows the columns of that release.",
					   quoting_relation(view->view)),
			 errhint("A release ends when its last migration is aborted, or one of a later release contracted. To drop a view before, run %s",
					 drop)));
}

static List *
ended_views_of_caller(int release)
{
	List	   *views = NIL;
	int			others = 0;
	ListCell   *lc;

	foreach(lc, release_view_of_releases(release, release))
	{
		ReleaseView *view = lfirst(lc);

		if (!compat_is_table_owner(view->view, GetUserId()))
		{
			others++;
			continue;
		}
		check_release_has_ended(release, view);
		views = lappend(views, view);
	}
	if (views == NIL && others > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of the views of release %d", release),
				 errhint("Call it as the owner of their tables.")));
	return views;
}

Datum
tandem_drop_views(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	List	   *views;

	ddl_refuse_nested();
	release_view_lock_schema(release);
	views = ended_views_of_caller(release);
	if (views == NIL)
		ereport(NOTICE,
				(errmsg("release %d has left no views, skipping", release)));
	else
		versioned_views_drop(views);
	PG_RETURN_VOID();
}
