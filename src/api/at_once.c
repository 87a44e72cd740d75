/*
 * at_once.c
 *		Operations done to their end in the caller's transaction.
 *
 * What they do is in the extension's script, as functions tandem.once_<name>
 * with the arguments of tandem.<name>, which tandem_stub.sql has, too: see
 * README.md.  They run as the caller.  History has a line for each call.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "core/clock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/sql_function.h"

SQL_FUNCTION(tandem_plain_begin);
SQL_FUNCTION(tandem_plain_pass);

#define ACTION_AT_ONCE "at once"

/* Is there a migration of that name?  Then id is set. */
static bool
find_migration(const char *name, int *id)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, name);
	*id = query_end_int(&query, query_run(&query,
										  "SELECT id FROM tandem.migration WHERE name = $1"));
	return *id != 0;
}

static bool
call_is_noted(int migration_id, const char *call)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, call);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.event WHERE migration = $1 AND action = '" ACTION_AT_ONCE "' "
											 "AND detail = coalesce($2, 'create_migration')"));
}

/* Calls the function of the same name and arguments that does it at once. */
static void
call_plain(FunctionCallInfo fcinfo)
{
	StringInfoData sql;
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
	Form_pg_proc proc;
	Datum		values[FUNC_MAX_ARGS];
	char		nulls[FUNC_MAX_ARGS];
	Oid			types[FUNC_MAX_ARGS];

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT tandem.%s(",
					 quote_identifier(psprintf("once_%s", NameStr(proc->proname))));
	for (int i = 0; i < fcinfo->nargs; i++)
	{
		appendStringInfo(&sql, "%s$%d", i ? ", " : "", i + 1);
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
		types[i] = proc->proargtypes.values[i];
	}
	appendStringInfoChar(&sql, ')');
	ReleaseSysCache(tuple);
	SPI_connect();
	if (SPI_execute_with_args(sql.data, fcinfo->nargs, types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\"", sql.data);
	SPI_finish();
}

bool
at_once_call(FunctionCallInfo fcinfo)
{
	int			id;

	if (!find_migration(argument_text(fcinfo, 0, "migration"), &id) ||
		!call_is_noted(id, NULL))
		return false;
	call_plain(fcinfo);
	return true;
}

bool
at_once_create(FunctionCallInfo fcinfo)
{
	char	   *name = argument_text(fcinfo, 0, "name");
	int			id;

	if (!setting_at_once || find_migration(name, &id))
		return false;
	call_plain(fcinfo);
	migration_record(migration_get(name), ACTION_AT_ONCE, "create_migration", CLOCK_NEVER);
	return true;
}

/*
 * Is the call to be done?  Then it is noted.  A repeated one says that it is not.
 */
Datum
tandem_plain_begin(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get(argument_text(fcinfo, 0, "migration"));
	char	   *call = argument_text(fcinfo, 1, "call");

	migration_check_repeat(migration);
	if (call_is_noted(migration->id, call))
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" has done this already, skipping", migration->name),
				 errdetail("%s", call)));
		PG_RETURN_BOOL(false);
	}
	if (!setting_at_once)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" was done at once, and tandem.at_once is off", migration->name),
				 errhint("SET tandem.at_once = on; or make the call for a new migration.")));
	if (!call_is_noted(migration->id, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" was not begun with tandem.at_once", migration->name),
				 errhint("Call the function of that name without once_.")));
	migration_record(migration, ACTION_AT_ONCE, call, CLOCK_NEVER);
	PG_RETURN_BOOL(true);
}

/*
 * A new migration has nothing to fill or build: contract may follow.
 */
Datum
tandem_plain_pass(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));

	if (migration_has_table(migration))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has tables already", migration->name),
				 errhint("Run CALL tandem.migrate(%s);", quote_literal_cstr(migration->name))));
	migration_act(migration, ACTION_MIGRATE, NULL, CLOCK_NEVER);
	migration_act(migration, ACTION_FINISH, NULL, CLOCK_NEVER);
	PG_RETURN_VOID();
}
