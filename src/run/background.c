/*
 * background.c
 *		Runs a migration in a background worker, and resumes it after a
 *		restart.
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
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/settings.h"
#include "core/transaction.h"
#include "run/background.h"
#include "run/beat.h"
#include "run/process.h"
#include "run/runner.h"

/*-------------------------------------------------------------------------
 * Running a migration in a background worker.
 *
 * Errors that may go away by themselves are retried with growing pauses.  Any
 * other error is recorded and ends the run, and the run is then marked as not
 * wanted.  So no launcher starts it again before the cause is fixed and
 * tandem.migrate called.
 *-------------------------------------------------------------------------
 */

#define FIRST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000
#define RETRY_LOOK_MS 500
#define START_POLL_MS 10

PROCESS_MAIN(tandem_runner_main);

/* Returns the migration, or NULL if the run has been cancelled. */
static Migration *
migration_wanted_to_run(int migration_id)
{
	return run_control_get(migration_id)->background
		? migration_by_id(migration_id) : NULL;
}

/*
 * Waits while the run is wanted.  Holds a lock meanwhile that tells launchers
 * that the run has a process.
 */
static void
wait_to_retry(int migration_id, long ms)
{
	for (; ms > 0; ms -= RETRY_LOOK_MS)
	{
		session_begin();
		migration_join_retry(migration_id);
		if (migration_wanted_to_run(migration_id) == NULL)
			ms = 0;
		interruptible_sleep(Min(ms, RETRY_LOOK_MS));
		session_end();
	}
}

/*
 * Statements of the run fire event triggers, which have the search_path of the
 * session.  Nobody has set one here.  That of expand was chosen by who has the
 * rights of the owner, and leads nobody else to what it has made.
 */
static void
take_path_of_owner(const Migration *migration)
{
	List	   *relids = sync_relations_of_migration(migration->id);
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (authority_table_owner(lfirst_oid(lc)) != GetUserId())
			return;
	}
	if (relids != NIL)
		process_take_expand_path(migration->id, linitial_oid(relids));
}

static void
run_in_worker(const Migration *migration, const ProcessOrder *order)
{
	take_path_of_owner(migration);
	runner_run(migration_get_for_change(migration->name), order->workers);
}

/*
 * Waits, unless the run is cancelled, and tries the run once.  Returns its
 * error, in TopMemoryContext, or NULL.
 */
static ErrorData *
try_background_run(const ProcessOrder *order, long pause)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		Migration  *migration;

		wait_to_retry(order->migration_id, pause);
		process_reload_settings();
		session_begin();
		migration = migration_wanted_to_run(order->migration_id);
		if (migration)
			run_in_worker(migration, order);
		session_end();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		error = CopyErrorData();
		FlushErrorState();
		session_abort();
	}
	PG_END_TRY();
	return error;
}

/* Writes the error to the server's log as if it had not been caught. */
static void
log_run_error(ErrorData *error)
{
	PG_TRY();
	{
		ReThrowError(error);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
}

/* Records the error.  Returns true if the run is to be tried again. */
static bool
note_run_error(int migration_id, const ErrorData *error)
{
	bool		again = error_passes_by_itself(error);

	session_begin();
	run_control_set_error(migration_id, error->message,
						  error->hint ? error->hint
						  : "Call tandem.migrate again: it goes on where it was.");
	if (!again)
		run_control_end_background(migration_id);
	session_end();
	return again;
}

/* Does another process run the migration?  Then nothing is left to do here. */
static bool
migration_runs_elsewhere(int migration_id)
{
	Migration  *migration;
	bool		runs;

	session_begin();
	migration = migration_by_id(migration_id);
	runs = migration && migration_runner_pid(migration) > 0;
	session_end();
	return runs;
}

/*
 * Takes the role's quota lock again, which an abort has released.  Without
 * quota the process ends, and the launcher starts the run again later.
 */
static bool
run_keeps_quota(const ProcessOrder *order)
{
	bool		kept;

	session_begin();
	kept = quota_try(order->payer, order->spare);
	session_end();
	return kept;
}

/* The caller's, which may last: what it has written says whether a run is wanted. */
static void
wait_for_transaction_of_call(TransactionId xid)
{
	bool		over = false;

	while (!over)
	{
		session_begin();
		lock_wait_for_transaction(psprintf("%u", xid), RETRY_LOOK_MS);
		over = !TransactionIdIsInProgress(xid);
		session_end();
	}
}

/*
 * Runs the migration until it succeeds or fails for good, with growing pauses.
 */
static void
retry_background_run(const ProcessOrder *order)
{
	long		pause = 0;

	if (TransactionIdIsValid(order->after))
		wait_for_transaction_of_call(order->after);
	for (;;)
	{
		int64		begun = clock_now();
		ErrorData  *error = try_background_run(order, pause);

		if (error == NULL || process_extension_is_gone())
			return;
		log_run_error(error);
		if (error->sqlerrcode == ERRCODE_OBJECT_IN_USE &&
			migration_runs_elsewhere(order->migration_id))
			return;
		if (!note_run_error(order->migration_id, error) ||
			!run_keeps_quota(order))
			return;
		FreeErrorData(error);
		/* after a long successful stretch, start with a short pause again */
		if (clock_ms_since(begun) > pause + LONGEST_PAUSE_MS)
			pause = 0;
		pause = pause == 0 ? FIRST_PAUSE_MS : Min(pause * 2, LONGEST_PAUSE_MS);
	}
}

/* Main function of the worker that runs a migration. */
void
tandem_runner_main(Datum argument)
{
	process_run(retry_background_run);
}

/* Checked at each start, since roles and owners may have changed. */
static void
check_role_of_run(const Migration *migration, const RunControl *control)
{
	bool		gone = !OidIsValid(control->run_as);

	if (!gone && migration_role_may_act(migration, control->run_as))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 gone
			 ? errmsg("role \"%s\", which runs migration \"%s\" in the background, is gone",
					  control->run_as_name ? control->run_as_name : "?",
					  migration->name)
			 : errmsg("role \"%s\", which runs migration \"%s\" in the background, may no longer act on it",
					  control->run_as_name, migration->name),
			 errhint("As a role that has the rights of the owner of each of its tables, run CALL tandem.migrate(%s, background => true);",
					 quote_literal_cstr(migration->name))));
}

void
background_order(const Migration *migration, ProcessOrder *order)
{
	RunControl *control = run_control_get(migration->id);

	check_role_of_run(migration, control);
	process_order_init(order, control->run_as);
	order->migration_id = migration->id;
	order->workers = control->workers;
	order->payer = control->run_as;
	order->spare = true;
	run_control_get_build(migration->id, &order->maintenance_work_mem,
						  &order->max_parallel_maintenance_workers);
}

BackgroundWorkerHandle *
background_start(const ProcessOrder *order)
{
	return process_start("tandem_runner_main",
						 psprintf("migration %d", order->migration_id), order);
}

/*
 * Reports a worker that has ended and was never seen to run.  Errors: the one
 * that it recorded, or the reason why it may not have started.
 */
static void
report_worker_end(const Migration *migration, const ProcessOrder *order,
				  const RunControl *control)
{
	char	   *detail;
	char	   *hint;

	if (control->error)
	{
		detail = psprintf("%s.", control->error);
		hint = control->hint ? control->hint
			: pstrdup("Fix the cause, then call tandem.migrate again.");
	}
	else
		process_explain_failure(order, &detail, &hint);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the run of migration \"%s\" in the background has ended",
					migration->name),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

typedef struct StartWait
{
	const Migration *migration;
	BackgroundWorkerHandle *handle;
	bool		runs;
} StartWait;

static bool
start_is_over(void *arg)
{
	StartWait  *wait = arg;
	pid_t		pid;
	BgwHandleStatus status = GetBackgroundWorkerPid(wait->handle, &pid);

	/* look after that: a worker that has ended by then may have run before */
	wait->runs = migration_runner_pid(wait->migration) > 0;
	return wait->runs || status == BGWH_STOPPED ||
		status == BGWH_POSTMASTER_DIED;
}

void
background_wait_for_start(const Migration *migration,
						  const ProcessOrder *order,
						  BackgroundWorkerHandle *handle)
{
	StartWait	wait = {migration, handle, false};
	RunControl *control;

	transaction_poll(start_is_over, &wait, START_POLL_MS, 0);
	if (wait.runs)
		return;
	control = run_control_get(migration->id);
	/* the caller gets the error, so no launcher should start it again */
	run_control_end_background(migration->id);
	transaction_commit();
	/* otherwise the migration was already done */
	if (control->background || control->error)
		report_worker_end(migration, order, control);
}

/*-------------------------------------------------------------------------
 * Resuming interrupted migrations, if the library is preloaded.
 *
 * The launcher starts when the server has started or was promoted, and looks
 * again every tandem.launcher_interval.  It starts a worker in one database
 * after the other.  That worker starts a runner for each migration that is to
 * run in the background and that no process runs.
 *-------------------------------------------------------------------------
 */

#define RESTART_SECONDS 5

PROCESS_MAIN(tandem_launcher_main);
PROCESS_MAIN(tandem_resume_main);

void
launcher_register(void)
{
	BackgroundWorker worker = {0};

	/*
	 * pg_upgrade starts the old server after it has read the next transaction
	 * id.  If we wrote rows then, the new server would assign their xids
	 * again.
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

/*
 * Templates are copied, not migrated; connection limit -2 marks an invalid
 * database.
 */
static Oid
database_that_accepts_connections(HeapTuple tuple)
{
	Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

	return !database->datallowconn || database->datistemplate ||
		database->datconnlimit < -1 ? InvalidOid : database->oid;
}

static void
resume_in_database(Oid database)
{
	ProcessOrder order = {.database = database};
	BackgroundWorkerHandle *handle = process_start("tandem_resume_main",
												   "resume", &order);

	if (handle)
		(void) WaitForBackgroundWorkerShutdown(handle);
}

/* Rests so long; other regions are to hear of this server's databases meanwhile. */
static void
rest_and_beat(long ms)
{
	for (; ms > 0; ms -= BEAT_MS)
	{
		beat_databases();
		interruptible_sleep(Min(ms, BEAT_MS));
	}
}

void
tandem_launcher_main(Datum argument)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	/* connect to shared catalogs only */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	context = AllocSetContextCreate(TopMemoryContext, "tandem launcher",
									ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		ListCell   *lc;

		MemoryContextSwitchTo(context);
		foreach(lc, process_list_databases(DatabaseRelationId,
										   database_that_accepts_connections))
			resume_in_database(lfirst_oid(lc));
		MemoryContextReset(context);
		rest_and_beat(setting_launcher_interval * 1000L);
		process_reload_settings();
	}
}

static void
resume_migration(void *arg)
{
	Migration  *migration = migration_by_id(*(int *) arg);
	ProcessOrder order;

	if (migration == NULL)
		return;

	/*
	 * A call of tandem.migrate that has just made the run wanted starts it
	 * itself.
	 */
	if (!migration_lock_start(migration, false) ||
		migration_runner_pid(migration) > 0)
		return;

	/*
	 * Or it has run and ended since the list was read; why it has is not to
	 * be replaced by why it would not start.
	 */
	if (migration_wanted_to_run(migration->id) == NULL)
		return;
	background_order(migration, &order);
	if (background_start(&order) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
}

static void
resume_migrations(const ProcessOrder *order)
{
	ListCell   *lc;

	session_begin();
	if (OidIsValid(extension_schema()))
	{
		foreach(lc, run_control_orphans())
		{
			int			id = lfirst_int(lc);
			ErrorData  *error = subtransaction_try(resume_migration, &id);

			if (error)
				run_control_set_error(id, error->message, error->hint);
		}
		migration_forget_old();
	}
	session_end();
}

/*
 * Main function of the worker in one database.  It runs as the bootstrap
 * superuser, but only starts runners, which run as the migration's role.
 */
void
tandem_resume_main(Datum argument)
{
	process_run(resume_migrations);
}
