/*
 * forget.c
 *		tandem.forget: removes what is kept of a migration that has ended.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "catalog/migration_forget.h"
#include "core/sql_function.h"

SQL_FUNCTION(tandem_forget);

Datum
tandem_forget(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));

	if (migration->phase != PHASE_DONE && migration->phase != PHASE_ABORTED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has not ended", migration->name),
				 errdetail("It is in phase %s.", phase_name(migration->phase)),
				 errhint("End it with tandem.contract or tandem.abort, then call this again.")));
	migration_record(migration, "forget", NULL, 0);
	migration_forget(migration);
	PG_RETURN_VOID();
}
