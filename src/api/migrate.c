/*
 * migrate.c
 *		SQL procedure migrate and function verify.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/carried.h"
#include "api/cascade.h"
#include "api/column_moves.h"
#include "api/migrate.h"
#include "api/result_row.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/verify.h"
#include "run/background.h"
#include "run/loop.h"
#include "run/process.h"
#include "run/runner.h"

/*-------------------------------------------------------------------------
 * tandem.verify: verifies tables on demand.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_verify);

/*
 * Adds one row to the result of tandem.verify: a leaf table, under one
 * snapshot.
 */
static void
verify_leaf_table(ReturnSetInfo *result, const Migration *migration,
				  const SyncRule *rule, Oid relid)
{
	VerifyResult counts;
	ResultRow	row;

	if (!verify_leaf(relid, migration->name, rule->search_path, CLOCK_NEVER,
					 InvalidXLogRecPtr, &counts))
		return;
	result_row_begin(&row, result);
	result_row_datum(&row, ObjectIdGetDatum(relid), true);
	result_row_bigint(&row, counts.rows_checked, true);
	result_row_bigint(&row, counts.rows_unfilled, true);
	result_row_bigint(&row, counts.rows_mismatched, true);
	result_row_datum(&row, DirectFunctionCall1(jsonb_in, CStringGetDatum(verify_sample(&counts))), true);
	result_row_bigint(&row, counts.rows_own, true);
	result_row_bigint(&row, counts.rows_lossy, true);
	result_row_end(&row);
}

Datum
tandem_verify(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get(argument_text(fcinfo, 0, "migration"));
	List	   *seen = NIL;
	ListCell   *lc;
	ListCell   *leaf;

	migration_check(migration, ACTION_VERIFY);
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (!relation_exists(rule->relation) || !rule_has_new_side(rule) ||
			list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		table_rows_check_local(table_tree(rule->relation));
		foreach(leaf, table_leaves(rule->relation))
			verify_leaf_table((ReturnSetInfo *) fcinfo->resultinfo, migration,
							  rule, lfirst_oid(leaf));
	}
	return (Datum) 0;
}

/*-------------------------------------------------------------------------
 * CALL tandem.migrate: phase migrate, in this session or in the background.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_migrate);

static void
check_may_commit(FunctionCallInfo fcinfo)
{
	if (!procedure_may_commit(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("tandem.migrate cannot run inside a transaction block"),
				 errdetail("It commits after each batch."),
				 errhint("Call tandem.migrate on its own, with autocommit on: not between BEGIN and COMMIT, nor in a function or DO block in a transaction.")));
}

static int
argument_workers(FunctionCallInfo fcinfo, int n)
{
	int			workers = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);

	if (workers < 1 || workers > MIGRATE_MOST_WORKERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workers must be from 1 to %d, not %d",
						MIGRATE_MOST_WORKERS, workers),
				 errhint("Call it as in CALL tandem.migrate('my_migration', workers => 2);")));
	return workers;
}

/*
 * Returns the role with whose rights a background run works: the migration's
 * creator, if that role may act on it and the caller has all its rights; else
 * the caller.
 */
static Oid
role_of_background_run(const Migration *migration)
{
	Oid			creator = migration->creator;

	return OidIsValid(creator) && has_privs_of_role(GetUserId(), creator) &&
		migration_role_may_act(migration, creator) ? creator : GetUserId();
}

typedef enum IfRunning
{
	IF_RUNNING_ERROR,
	IF_RUNNING_WAIT,
	IF_RUNNING_RETURN
} IfRunning;

typedef struct MigrateCall
{
	char	   *name;
	bool		background;
	int			workers;
	IfRunning	if_running;
	int64		waiting_since;	/* events since then count; 0 if it has not
								 * waited */
} MigrateCall;

/* poll interval while another session is starting a run */
#define START_POLL_MS 20

static IfRunning
if_running_from_name(const char *name)
{
	static const char *const names[] = {
		[IF_RUNNING_ERROR] = "error",
		[IF_RUNNING_WAIT] = "wait",
		[IF_RUNNING_RETURN] = "return",
	};

	return (IfRunning) text_choice("if_running", name, names, lengthof(names));
}

static void
want_background(const Migration *migration, int workers, ProcessOrder *order)
{
	run_control_want_background(migration->id, workers, role_of_background_run(migration));
	run_control_set_build(migration->id, maintenance_work_mem, max_parallel_maintenance_workers);
	background_order(migration, order);
}

static void
no_worker_free(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker is free"),
			 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
}

/*
 * The start lock is held until the worker has the runner lock.  So if two
 * sessions start a run at the same time, neither takes the other's worker for
 * its own.
 */
static void
start_in_background(Migration *migration, int workers)
{
	BackgroundWorkerHandle *handle;
	ProcessOrder order;

	want_background(migration, workers, &order);
	/* the worker checks that the run is wanted, so it must see this */
	transaction_commit();
	handle = background_start(&order);
	if (handle == NULL)
	{
		run_control_end_background(migration->id);
		transaction_commit();
		no_worker_free();
	}
	background_wait_for_start(migration, &order, handle);
	migration_unlock_start(migration);
}

/* The process may have ended meanwhile: then blockers are not known any more. */
static void
refuse_circle(const Migration *migration, int pid)
{
	char	   *marks = blockers_of(pid);
	char	   *blockers = marks ? lock_describe_marks(marks)
	: pstrdup("a session that has ended meanwhile");

	ereport(ERROR,
			(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
			 errmsg("the run of migration \"%s\", which this session waits for, waits for this session",
					migration->name),
			 errdetail("Process %d of the run waits for: %s.", pid, blockers),
			 errhint("Give the lock back that this session has, an advisory lock for example, and call it again; the run goes on then.")));
}

/*
 * Another session runs the migration.  Returns true if the caller is to look
 * again.
 */
static bool
wait_for_other_run(MigrateCall *call, const Migration *migration)
{
	int			pid = migration_runner_pid(migration);
	int			waits_for_us;

	if (pid == 0)
		return true;			/* it has just ended */
	if (call->if_running == IF_RUNNING_ERROR)
		migration_already_running(migration, pid);
	if (call->if_running == IF_RUNNING_RETURN)
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" is already running by pid %d",
						migration->name, pid),
				 errhint("See SELECT * FROM tandem.status;")));
		return false;
	}
	if (call->waiting_since == 0)
	{
		call->waiting_since = migration_next_event(migration);
		ereport(NOTICE,
				(errmsg("migration \"%s\" is already running by pid %d, waiting for its end",
						migration->name, pid)));
	}
	waits_for_us = migration_await_runner(migration);
	if (waits_for_us)
		refuse_circle(migration, waits_for_us);
	return true;
}

/*
 * Is nothing left to do?  A call with if_running other than error, as
 * application nodes make it, also does not start a completed migration again.
 */
static bool
migrate_is_done(const MigrateCall *call, const Migration *migration)
{
	bool		done = migration->phase == PHASE_DONE ||
	(call->if_running != IF_RUNNING_ERROR && runner_is_done(migration));

	if (done && !runner_warn_of_quarantine(migration))
		ereport(NOTICE,
				(errmsg("migration \"%s\" is in phase %s, nothing is left to migrate",
						migration->name, phase_name(migration->phase))));
	return done;
}

/*
 * A cancel also ends waiting calls.  The request lasts until its event in
 * tandem.history is visible to all, so one of the two is always seen.
 */
static void
check_not_cancelled(const MigrateCall *call, const Migration *migration)
{
	if (call->waiting_since == 0)
		return;
	migration_check_stop(migration);
	if (migration_was_cancelled(migration, call->waiting_since))
		migration_stopped(migration);
}

/*
 * This may be intended, if the release only renames columns; or it is too
 * early.
 */
static void
report_no_tables(const Migration *migration)
{
	if (sync_relations_of_migration(migration->id) != NIL)
		return;
	if (migration_has_table(migration))
		ereport(NOTICE,
				(errmsg("the tables of migration \"%s\" were dropped, nothing is filled or verified",
						migration->name),
				 errhint("To end the migration, run CALL tandem.abort(%s).",
						 quote_literal_cstr(migration->name))));
	else
		ereport(NOTICE,
				(errmsg("migration \"%s\" works on no table, nothing is filled or verified",
						migration->name),
				 errhint("If its script has not run yet, run CALL tandem.abort(%s), then the script, and then CALL tandem.migrate(%s).",
						 quote_literal_cstr(migration->name),
						 quote_literal_cstr(migration->name))));
}

static void
say_paused(const Migration *migration)
{
	RunControl *control = run_control_get(migration->id);

	if (control->paused_by)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is paused by role \"%s\", and waits to be resumed",
						migration->name, control->paused_by),
				 errhint("Run SELECT tandem.resume(%s) in another session.",
						 quote_literal_cstr(migration->name))));
}

/* Nobody is to find cents where he has read euros. */
static void
check_views_of_changed(const Migration *migration)
{
	List	   *tables = sync_tables_without_views(migration->id);

	if (tables == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a column of table \"%s\" changes, and not both releases have a view of the table",
					quoting_shown_name(linitial_oid(tables))),
			 errdetail("On the table itself it has its old values until contract and the new ones after it."),
			 errhint("Run SELECT tandem.create_views(%d, ARRAY[%s]); and the same for the release before, and have the nodes of each use these; or abort, and call tandem.sync_column with a column of another name, or tandem.change_column with bare_table => true if all that use the table are known.",
					 migration->release,
					 quote_literal_cstr(quoting_relation(linitial_oid(tables))))));
}

/* What only expand can still put right. */
static void
check_is_complete(const Migration *migration)
{
	carried_check_decided(migration);

	/*
	 * later no column and no statement can be added: contract tells of what
	 * is left
	 */
	if (migration->phase == PHASE_EXPAND)
	{
		cascade_check_complete(migration);
		column_moves_check(migration);
	}
	check_views_of_changed(migration);
}

/* Looks once; returns true if the caller is to look again. */
static bool
try_migrate(MigrateCall *call)
{
	Migration  *migration;
	bool		running;

	/*
	 * end the caller's snapshot, so that commits during the wait cause no
	 * error
	 */
	transaction_commit();
	migration = migration_get_for_change(call->name);
	running = migration_is_running(migration);
	/* a run may have ended in between; no other can start now */
	if (!running)
		migration = migration_get(call->name);
	check_not_cancelled(call, migration);
	if (migration->phase != PHASE_DONE)
		migration_check(migration, ACTION_MIGRATE);
	if (running)
		return wait_for_other_run(call, migration);
	if (migrate_is_done(call, migration))
		return false;
	check_is_complete(migration);
	if (!migration_lock_start(migration, call->background))
	{
		transaction_commit();
		interruptible_sleep(START_POLL_MS);
		return true;
	}
	report_no_tables(migration);
	say_paused(migration);
	if (call->background)
		start_in_background(migration, call->workers);
	else
		runner_run(migration, call->workers);
	return false;
}

static void
run_call(MigrateCall *call)
{
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	while (try_migrate(call))
		;
	SPI_finish();
}

void
migrate_here(char *migration, int workers)
{
	MigrateCall call = {.name = migration,.workers = workers,.if_running = IF_RUNNING_ERROR};

	run_call(&call);
}

Datum
tandem_migrate(PG_FUNCTION_ARGS)
{
	MigrateCall call = {
		.name = argument_text(fcinfo, 0, "migration"),
		.background = argument_bool(fcinfo, 1, "background"),
		.workers = argument_workers(fcinfo, 2),
		.if_running = if_running_from_name(argument_text(fcinfo, 3, "if_running"))
	};

	check_may_commit(fcinfo);
	PreventCommandDuringRecovery("tandem.migrate");
	run_call(&call);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * tandem.start_migrate: for a tool whose scripts are transactions.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_start_migrate);

/*
 * The worker is started now, so that there is one, and waits for the end of the
 * transaction.  If that is rolled back, no run is wanted, and it ends.
 */
static void
start_at_commit(Migration *migration, int workers)
{
	ProcessOrder order;

	want_background(migration, workers, &order);
	order.after = GetTopTransactionId();
	if (background_start(&order) == NULL)
		no_worker_free();
}

Datum
tandem_start_migrate(PG_FUNCTION_ARGS)
{
	MigrateCall call = {
		.name = argument_text(fcinfo, 0, "migration"),
		.background = true,
		.workers = argument_workers(fcinfo, 1),
		.if_running = IF_RUNNING_RETURN
	};
	Migration  *migration;

	PreventCommandDuringRecovery("tandem.start_migrate");
	migration = migration_get_for_change(call.name);
	if (migration->phase != PHASE_DONE)
		migration_check(migration, ACTION_MIGRATE);
	if (migration_is_running(migration))
		(void) wait_for_other_run(&call, migration);
	else if (!migrate_is_done(&call, migration))
	{
		check_is_complete(migration);
		report_no_tables(migration);
		say_paused(migration);
		start_at_commit(migration, call.workers);
	}
	PG_RETURN_VOID();
}
