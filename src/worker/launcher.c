/*
 * launcher.c
 *		Resumes migrations that were interrupted, where the library is preloaded.
 *
 * The launcher starts when the server has come up or was promoted, and looks
 * again every tandem.launcher_interval: it sends a worker into each database,
 * one after the other, which starts a runner for each migration that wants to
 * run in the background and that nobody runs.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/migration_forget.h"
#include "catalog/run_control.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/settings.h"
#include "core/subtransaction.h"
#include "worker/background.h"
#include "worker/launcher.h"
#include "worker/process.h"
#include "worker/session.h"

#define RESTART_SECONDS 5

PROCESS_MAIN(tandem_launcher_main);
PROCESS_MAIN(tandem_resume_main);

void
launcher_register(void)
{
	BackgroundWorker worker = {0};

	/*
	 * pg_upgrade starts the old server when it has taken note of the next
	 * transaction number: rows that are written then have numbers that the
	 * new server gives out once more
	 */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	strlcpy(worker.bgw_library_name, "$libdir/pg_tandem", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "tandem_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "pg_tandem: launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pg_tandem", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* The databases that can be connected to, in the current memory context. */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext transaction;

		/*
		 * templates are copied, not migrated; a limit below -1 is a dropped
		 * one
		 */
		if (!database->datallowconn || database->datistemplate ||
			database->datconnlimit < -1)
			continue;
		transaction = MemoryContextSwitchTo(caller);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

static void
look_into(Oid database)
{
	ProcessOrder order = {.database = database};
	BackgroundWorkerHandle *handle = process_start("tandem_resume_main",
												   "resume", &order);

	if (handle)
		(void) WaitForBackgroundWorkerShutdown(handle);
}

void
tandem_launcher_main(Datum argument)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	/* shared catalogs only */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	context = AllocSetContextCreate(TopMemoryContext, "tandem launcher",
									ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		ListCell   *lc;

		MemoryContextSwitchTo(context);
		foreach(lc, list_databases())
			look_into(lfirst_oid(lc));
		MemoryContextReset(context);
		interruptible_sleep(setting_launcher_interval * 1000L);
		process_reload_settings();
	}
}

static void
resume(void *arg)
{
	Migration  *migration = migration_by_id(*(int *) arg);
	ProcessOrder order;

	if (migration == NULL)
		return;
	background_order(migration, &order);
	if (background_start(&order) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
}

static void
resume_all(const ProcessOrder *order)
{
	ListCell   *lc;

	session_begin();
	if (OidIsValid(extension_schema()))
	{
		foreach(lc, run_control_orphans())
		{
			int			id = lfirst_int(lc);
			ErrorData  *error = subtransaction_try(resume, &id);

			if (error)
				run_control_set_error(id, error->message, error->hint);
		}
		migration_forget_old();
	}
	session_end();
}

/*
 * The worker of one database, with the rights of the bootstrap superuser: it
 * only starts runners, which have the rights of the migration's role.
 */
void
tandem_resume_main(Datum argument)
{
	process_run(resume_all);
}
