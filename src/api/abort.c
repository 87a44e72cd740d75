/*
 * abort.c
 *		CALL tandem.abort: undoes a migration at any moment before its end.
 */
#include "postgres.h"

#include "api/arguments.h"
#include "api/finish.h"
#include "catalog/migration.h"
#include "catalog/owned_column.h"
#include "catalog/sync.h"
#include "core/quoting.h"
#include "core/sql_function.h"
#include "ddl/columns.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

SQL_FUNCTION(tandem_abort);

/* a runner looks for a stop at every batch, which takes tandem.batch_target */
#define STOP_WAIT_MS 30000

static List *
owned_columns(const Migration *migration)
{
	List	   *doomed = NIL;
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, sync_relations_of_migration(migration->id))
	{
		foreach(name, owned_column_list(migration->id, lfirst_oid(lc)))
			doomed = doomed_add(doomed, lfirst_oid(lc), lfirst(name));
	}
	return doomed;
}

static void
check_dependents(const Migration *migration, List *doomed)
{
	List	   *reasons = doomed_lines(doomed, column_dependents, migration);

	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("new columns of migration \"%s\" are in use",
						migration->name),
				 errdetail("%s", lines_as_list(reasons)),
				 errhint("Drop these, or abort those migrations, then CALL tandem.abort(%s) again.",
						 quote_literal_cstr(migration->name))));
}

Datum
tandem_abort(PG_FUNCTION_ARGS)
{
	TimestampTz started = GetCurrentTimestamp();
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	List	   *doomed = owned_columns(migration);

	migration_check(migration, ACTION_ABORT);
	finish_check_owner(migration);
	check_dependents(migration, doomed);
	migration_stop_runner(migration, STOP_WAIT_MS);
	finish_lock_tables(migration);
	check_dependents(migration, doomed);
	migration_act(migration, ACTION_ABORT, doomed_describe(doomed), started);
	finish_drop(migration, doomed);
	PG_RETURN_VOID();
}
