/*
 * late_worker.c
 *		Starts a worker of pg_tandem for a runner of the caller's choice.
 *
 * Such as one that has ended before its worker had begun, of which a test
 * could not hit the instant.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "run/process.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT Datum late_worker(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(late_worker);

/* late_worker(migration integer, runner integer): returns when it has ended */
Datum
late_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_notify_pid = MyProcPid,
		.bgw_name = "late worker",
		.bgw_type = "pg_tandem",
		.bgw_library_name = "$libdir/pg_tandem",
		.bgw_function_name = "tandem_fill_main",
	};
	ProcessOrder order = {
		.database = MyDatabaseId,
		.role = GetUserId(),
		.migration_id = PG_GETARG_INT32(0),
		.runner = PG_GETARG_INT32(1),
		.worker = 1,
		.workers = 2,
	};
	BackgroundWorkerHandle *handle;

	memcpy(worker.bgw_extra, &order, sizeof(order));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		elog(ERROR, "no background worker is free");
	PG_RETURN_BOOL(WaitForBackgroundWorkerShutdown(handle) == BGWH_STOPPED);
}
