/*
 * migrate.c
 *		CALL tandem.migrate: phase migrate, in this session or in the background.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/run_control.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/sql_function.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "worker/background.h"
#include "worker/process.h"
#include "worker/runner.h"

SQL_FUNCTION(tandem_migrate);

#define MOST_WORKERS 64

static void
check_may_commit(FunctionCallInfo fcinfo)
{
	if (!procedure_may_commit(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("tandem.migrate cannot run inside a transaction block"),
				 errdetail("It commits after each batch."),
				 errhint("CALL tandem.migrate on its own, with autocommit on: not between BEGIN and COMMIT, nor in a function or DO block in a transaction.")));
}

static int
argument_workers(FunctionCallInfo fcinfo, int n)
{
	int			workers = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);

	if (workers < 1 || workers > MOST_WORKERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workers must be from 1 to %d, not %d", MOST_WORKERS,
						workers),
				 errhint("CALL tandem.migrate(migration, workers => 2);")));
	return workers;
}

/*
 * The role whose rights a run in the background has: the one that created the
 * migration as long as it owns the tables, else the caller's.
 */
static Oid
role_of_run(const Migration *migration)
{
	Oid			creator = get_role_oid(migration->created_by, true);
	ListCell   *lc;

	if (!OidIsValid(creator))
		return GetUserId();
	foreach(lc, sync_relations_of_migration(migration->id))
	{
		if (!compat_is_table_owner(lfirst_oid(lc), creator))
			return GetUserId();
	}
	return creator;
}

static void
start_in_background(Migration *migration, int workers)
{
	BackgroundWorkerHandle *handle;
	ProcessOrder order;
	Oid			role = role_of_run(migration);
	int			pid = migration_runner_pid(migration);

	if (pid > 0)
		migration_already_running(migration, pid);
	run_control_want_background(migration->id, workers,
								GetUserNameFromId(role, false),
								GetUserNameFromId(GetSessionUserId(), false));
	background_order(migration->id, &order);
	/* the worker looks whether it is wanted */
	SPI_commit();
	handle = background_start(&order);
	if (handle == NULL)
	{
		run_control_end_background(migration->id);
		SPI_commit();
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
	}
	background_wait_for_start(migration, handle);
}

Datum
tandem_migrate(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "migration");
	bool		background = argument_bool(fcinfo, 1, "background");
	int			workers = argument_workers(fcinfo, 2);
	Migration  *migration;

	check_may_commit(fcinfo);
	PreventCommandDuringRecovery("tandem.migrate");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	migration = migration_get_for_change(name);
	migration_check(migration, ACTION_MIGRATE);
	if (background)
		start_in_background(migration, workers);
	else
		runner_run(migration, workers);
	SPI_finish();
	PG_RETURN_VOID();
}
