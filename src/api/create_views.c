/*
 * create_views.c
 *		SQL function create_views: the views of a release.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "api/arguments.h"
#include "catalog/release_view.h"
#include "core/compat.h"
#include "core/sql_function.h"
#include "ddl/statement.h"
#include "ddl/versioned_view.h"

SQL_FUNCTION(tandem_create_views);

static Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Whoever owns a schema may put anything into it.  So one that is there must be
 * the caller's: it may have been made to lie in wait for a release.
 */
static void
check_schema_owner(const char *name, Oid schema)
{
	Oid			owner = schema_owner(schema);

	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("schema \"%s\" belongs to role \"%s\"", name,
					GetUserNameFromId(owner, false)),
			 errdetail("Who owns it may put other views in place of these."),
			 errhint("Call it as a member of that role, or ALTER SCHEMA %s OWNER TO %s.",
					 quote_identifier(name),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static void
ensure_schema(int release)
{
	char	   *name = release_view_schema(release);
	Oid			schema = get_namespace_oid(name, true);

	if (OidIsValid(schema))
	{
		check_schema_owner(name, schema);
		return;
	}
	if (!DatumGetBool(DirectFunctionCall2(has_database_privilege_id,
										  ObjectIdGetDatum(MyDatabaseId),
										  CStringGetTextDatum("CREATE"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create schema \"%s\"", name),
				 errhint("GRANT CREATE ON DATABASE %s TO %s; or have its owner CREATE SCHEMA %s AUTHORIZATION %s.",
						 quote_identifier(get_database_name(MyDatabaseId)),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)),
						 quote_identifier(name),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	ddl_run(psprintf("CREATE SCHEMA %s", quote_identifier(name)));
}

static List *
tables_of_caller(void)
{
	List	   *mine = NIL;
	ListCell   *lc;

	foreach(lc, release_view_tables())
	{
		if (compat_is_table_owner(lfirst_oid(lc), GetUserId()))
			mine = lappend_oid(mine, lfirst_oid(lc));
	}
	if (mine == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no migration works on a table of yours"),
				 errhint("Call it as the owner of the tables, after tandem.sync_column.")));
	return mine;
}

static void
check_not_retired(int release, Oid relid)
{
	char	   *migration = release_view_retired_by(relid, release);

	if (migration)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("release %d is retired", release),
				 errdetail("Migration \"%s\" of a later release has ended for table \"%s\".",
						   migration, get_rel_name(relid)),
				 errhint("Make the views of the release that runs: SELECT name, release, phase FROM tandem.migrations;")));
}

Datum
tandem_create_views(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	List	   *tables = tables_of_caller();
	ListCell   *lc;

	release_view_lock_schema(release);
	foreach(lc, tables)
	{
		release_view_lock(lfirst_oid(lc));
		check_not_retired(release, lfirst_oid(lc));
	}
	ensure_schema(release);
	foreach(lc, tables)
		versioned_view_make(release, lfirst_oid(lc));
	PG_RETURN_VOID();
}
