/*
 * fill.c
 *		The steps that go over the blocks of tables: backfill and verify.
 *
 * The runner starts its workers for a kind of steps and waits for their end;
 * they share the blocks through catalog/step_blocks.c and need no other word
 * from each other.  What a worker fails at the runner finds undone, and fails
 * at itself.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/quoting.h"
#include "backfill/progress_notice.h"
#include "backfill/run.h"
#include "backfill/throttle.h"
#include "catalog/migration_lock.h"
#include "catalog/step_blocks.h"
#include "core/transaction.h"
#include "ddl/partitions.h"
#include "sync/trigger_row.h"
#include "worker/fill.h"
#include "worker/loop.h"
#include "worker/process.h"
#include "worker/session.h"
#include "worker/vacuum.h"

PROCESS_MAIN(tandem_fill_main);

typedef struct Fill
{
	Migration  *migration;
	StepKind	kind;
	int			worker;			/* 0: the runner */
	int			workers;
	List	   *handles;		/* of the other workers */
} Fill;

bool
fill_proof_holds(const Step *step)
{
	char	   *version = sync_trigger_version(step->relation);

	return step->proof && version && strcmp(step->proof, version) == 0 &&
		step->rows_quarantined == 0;
}

bool
fill_is_complete(const Migration *migration, const SyncRule *rule)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	ListCell   *lc;

	foreach(lc, table_leaves(rule->relation))
	{
		Step	   *fill = step_find(fills, lfirst_oid(lc));

		if (fill == NULL || !fill->done || !fill_proof_holds(fill))
			return false;
	}
	return true;
}

/* A step at work in this process. */
typedef struct FillStep
{
	const Fill *fill;
	Step	   *step;
	StepRun    *run;
	ProgressNotice notice;
	Vacuuming	vacuuming;
	bool		vacuums;		/* else another process has the table vacuumed */
} FillStep;

static void
fill_batch(Loop *loop)
{
	FillStep   *at = loop->arg;

	if (loop->waited)
		step_run_skip_time(at->run);
	loop->more = step_run_batch(at->run, throttle_batch_target(loop->throttle),
								throttle_rest(loop->throttle));
}

static bool
fill_error_passes(Loop *loop, ErrorData *error)
{
	return step_run_passes(((FillStep *) loop->arg)->run, error);
}

static ErrorData *
fill_after_batch(Loop *loop)
{
	FillStep   *at = loop->arg;

	throttle_learn(loop->throttle, step_run_rows(at->run), loop->ms);
	if (at->fill->worker == 0)
		progress_notice(&at->notice, at->step, step_run_blockers(at->run));
	if (at->vacuums)
		vacuuming_go_on(&at->vacuuming, !loop->more,
						throttle_sees_load(loop->throttle));
	loop->rest_ms = step_run_rest_ms(at->run);
	return NULL;
}

static void
run_batches(FillStep *at, Throttle *throttle)
{
	Loop		loop = {
		.migration = at->fill->migration,
		.step_id = at->step->id,
		.throttle = throttle,
		.arg = at,
		.work = fill_batch,
		.passes = fill_error_passes,
		.after = fill_after_batch,
	};

	progress_notice_start(&at->notice, at->step);
	loop_run(&loop);
	/* a partition may have been dropped meanwhile */
	if (at->fill->worker != 0 || quoting_find_name(at->step->relation) == NULL)
		return;
	step_refresh(at->step);
	progress_notice_end(&at->notice, at->step);
}

static void
run_step(Fill *fill, Step *step)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem step",
												  ALLOCSET_DEFAULT_SIZES);
	FillStep	at = {.fill = fill,.step = step};
	Throttle   *throttle;

	at.vacuums = step->kind == STEP_BACKFILL &&
		step_claim_region(step, STEP_VACUUM);
	MemoryContextSwitchTo(context);
	at.run = step_run_begin(fill->migration, step, fill->worker, fill->workers);
	throttle = throttle_create(fill->migration, step->relation, fill->workers,
							   migration_runner_pid(fill->migration));
	vacuuming_start(&at.vacuuming, fill->migration, step);
	transaction_commit();
	run_batches(&at, throttle);
	step_run_end(at.run);
	if (at.vacuums)
		step_leave_region(step, STEP_VACUUM);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Whether there is anything to do for the step, in this run. */
static bool
is_open(const Step *step)
{
	/* partitions come and go */
	if (get_rel_relkind(step->relation) != RELKIND_RELATION ||
		!sync_trigger_version(step->relation))
		return false;
	return !step->done || !fill_proof_holds(step);
}

/*
 * Each worker begins at another table and goes round, so that they meet on one
 * only when there are fewer tables than workers, or at the end.
 */
static void
run_steps(Fill *fill)
{
	List	   *steps = step_list(fill->migration->id, fill->kind);
	int			count = list_length(steps);
	int			first = count * fill->worker / fill->workers;

	for (int i = 0; i < count; i++)
	{
		Step	   *step = list_nth(steps, (first + i) % count);

		if (step_is_open(step->id) && is_open(step))
			run_step(fill, step);
	}
}

/* Steps done under another trigger, or of a failed verify, begin again. */
static void
reopen_steps(const Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		if (is_open(step) && (step->done || !step->started))
			step_reopen(step->id);
	}
	step_forget_errors(migration->id, kind);
}

static void
join_fill(const ProcessOrder *order)
{
	Fill		fill = {0};

	session_begin();
	if (migration_join_workers(order->migration_id, order->runner))
		fill.migration = migration_by_id(order->migration_id);
	fill.kind = (StepKind) order->step_kind;
	fill.worker = order->worker;
	fill.workers = order->workers;
	if (fill.migration)
		run_steps(&fill);
	session_end();
}

/* A worker other than the runner. */
void
tandem_fill_main(Datum argument)
{
	process_run(join_fill);
}

static void
start_workers(Fill *fill)
{
	ProcessOrder order;

	for (int worker = 1; worker < fill->workers; worker++)
	{
		BackgroundWorkerHandle *handle;

		process_order_init(&order, GetUserId());
		order.migration_id = fill->migration->id;
		order.worker = worker;
		order.workers = fill->workers;
		order.step_kind = fill->kind;
		order.spare = true;
		handle = process_start("tandem_fill_main", fill->migration->name,
							   &order);
		if (handle == NULL)
		{
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("only %d of %d workers could be started", worker,
							fill->workers),
					 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
			break;
		}
		fill->handles = lappend(fill->handles, handle);
	}
}

static void
wait_for_workers(Fill *fill)
{
	ListCell   *lc;

	foreach(lc, fill->handles)
		(void) WaitForBackgroundWorkerShutdown(lfirst(lc));
	fill->handles = NIL;
}

static void
end_workers(int code, Datum arg)
{
	Fill	   *fill = (Fill *) DatumGetPointer(arg);
	ListCell   *lc;

	foreach(lc, fill->handles)
		TerminateBackgroundWorker(lfirst(lc));
	if (!proc_exit_inprogress)
		wait_for_workers(fill);
}

void
fill_run(Migration *migration, StepKind kind, int workers)
{
	Fill	   *fill = palloc0(sizeof(Fill));

	fill->migration = migration;
	fill->kind = kind;
	fill->workers = workers;
	reopen_steps(migration, kind);
	transaction_commit();
	PG_ENSURE_ERROR_CLEANUP(end_workers, PointerGetDatum(fill));
	{
		start_workers(fill);
		run_steps(fill);
		wait_for_workers(fill);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_workers, PointerGetDatum(fill));
	/* what a worker left undone */
	fill->workers = 1;
	run_steps(fill);
}
