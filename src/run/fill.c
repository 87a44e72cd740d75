/*
 * fill.c
 *		Runs backfill and verify steps, shared among workers.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/migration_lock.h"
#include "catalog/step.h"
#include "core/clock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/progress_notice.h"
#include "fill/step_run.h"
#include "fill/throttle.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"
#include "run/command.h"
#include "run/fill.h"
#include "run/loop.h"
#include "run/process.h"

typedef struct Vacuuming
{
	const Migration *migration;
	Step	   *step;
	int64		filled_before;	/* rows filled at the last VACUUM */
	int64		indexed_before; /* of these, rows with new index entries */
	bool		refused;		/* VACUUM failed once; a warning was given */
	double		seconds;		/* spent in VACUUM, and not reported yet */
	double		length;			/* of the last one; 0 before the first */
} Vacuuming;

/*-------------------------------------------------------------------------
 * VACUUM during a fill, so that it does not double its table.
 *
 * The fill prunes its own pages (fill/pages.c), but only VACUUM can free line
 * pointers and index entries.  It does not truncate the table, which would
 * lock it.  It is skipped while autovacuum is at work.  It leaves out the
 * TOAST table, which may be by far the largest part, and in which a fill
 * leaves hardly anything dead, since new row versions keep the old values.
 *-------------------------------------------------------------------------
 */

/* fewer blocks are not worth scanning all indexes */
#define SMALLEST_PIECE 256

/*
 * Seconds that a VACUUM takes: to start its worker and to see that it has
 * ended; for each block, which it writes, with its WAL, as fast as it can, or
 * with the default of autovacuum_vacuum_cost_delay.
 */
#define VACUUM_S 0.6
#define VACUUM_BLOCK_S 0.00003
#define GENTLE_VACUUM_BLOCK_S 0.0002

static void
note_vacuum_counts(Vacuuming *vacuuming)
{
	vacuuming->filled_before = vacuuming->step->rows_filled;
	vacuuming->indexed_before = vacuuming->step->rows_indexed;
}

static void
vacuuming_start(Vacuuming *vacuuming, const Migration *migration, Step *step)
{
	vacuuming->migration = migration;
	vacuuming->step = step;
	step_refresh(step);
	note_vacuum_counts(vacuuming);
	vacuuming->refused = false;
}

/*
 * Returns the number of rows with new index entries that makes a VACUUM
 * worthwhile.  Each page not yet done is assumed to be like those done.
 */
static double
rows_worth_vacuum(const Step *step)
{
	double		done = Max(step->blocks_total - step->blocks_left, 1);
	double		blocks = Max((double) step->blocks_total * setting_vacuum_every / 100,
							 SMALLEST_PIECE);

	return step->rows_done / done * blocks;
}

/*
 * A row whose new version is on the same page leaves nothing behind that the
 * fill cannot prune itself, so count only the others.
 */
static bool
vacuum_is_due(const Vacuuming *vacuuming, bool at_end)
{
	Step	   *step = vacuuming->step;
	int64		indexed = step->rows_indexed - vacuuming->indexed_before;

	if (at_end)
		return step->rows_filled > vacuuming->filled_before;
	return indexed > 0 && indexed >= rows_worth_vacuum(step);
}

static void
watch_vacuum(int pid, void *arg)
{
	Vacuuming  *vacuuming = arg;

	migration_check_stop(vacuuming->migration);
	step_set_waiting(vacuuming->step->id, NULL, blockers_of(pid));
}

static void
run_vacuum(Vacuuming *vacuuming, bool at_end, bool gentle)
{
	int64		started = clock_now();
	Step	   *step = vacuuming->step;
	char	   *name = quoting_raw_name(step->relation);
	ErrorData  *error;
	bool		gave_way;
	char	   *sql = psprintf("VACUUM (TRUNCATE false, SKIP_LOCKED, PARALLEL 0, PROCESS_TOAST false) %s",
							   quoting_relation(step->relation));

	step_set_phase(step->id, DOING_VACUUM);
	error = command_run(vacuuming->migration, sql, step->relation, gentle,
						watch_vacuum, vacuuming, &gave_way);
	step_set_waiting(step->id, NULL, NULL);
	step_set_phase(step->id, at_end ? DOING_NOTHING : DOING_FILL);
	vacuuming->length = (clock_now() - started) / (double) USECS_PER_SEC;
	vacuuming->seconds += vacuuming->length;
	/* it comes again */
	if (error == NULL || gave_way)
		return;
	/* go on without: the fill does not depend on it */
	vacuuming->refused = true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("table \"%s\" is backfilled without intermediate VACUUM: %s",
					name, error->message),
			 error->hint && error->sqlerrcode != ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
			 ? errhint("%s", error->hint)
			 : errhint("It grows meanwhile. Raise max_worker_processes, or set tandem.vacuum_every to 0 to disable this warning.")));
}

/*
 * Vacuums the table if tandem.vacuum_every percent of its rows have got new
 * index entries since the last time or, at the end, if anything was filled.
 * The caller has just committed and holds no snapshot.  Waits for the VACUUM
 * to end; meanwhile the step shows it, and sessions in its way.  With gentle,
 * because clients are active, it sleeps as autovacuum does.
 */
static void
vacuuming_go_on(Vacuuming *vacuuming, bool at_end, bool gentle)
{
	Step	   *step = vacuuming->step;

	if (setting_vacuum_every == 0 || vacuuming->refused)
		return;
	/* the step was started again */
	if (step->rows_filled < vacuuming->filled_before)
		vacuuming->filled_before = vacuuming->indexed_before = 0;
	/* a partition may have been dropped meanwhile */
	if (!vacuum_is_due(vacuuming, at_end) ||
		!relation_exists(step->relation))
		return;
	run_vacuum(vacuuming, at_end, gentle);
	note_vacuum_counts(vacuuming);
}

/*
 * Seconds that a VACUUM is expected to take: as long as the last one.  Before
 * the first one, what it costs to write each page once more.
 */
static double
vacuum_length(const Vacuuming *vacuuming, bool gentle)
{
	if (vacuuming->length > 0)
		return vacuuming->length;
	return VACUUM_S + vacuuming->step->blocks_total *
		(gentle ? GENTLE_VACUUM_BLOCK_S : VACUUM_BLOCK_S);
}

/*
 * How many VACUUMs are to come: one at the end, and those that the blocks left
 * make worthwhile.  Where several processes fill the table, the others go on
 * meanwhile.
 */
static int
vacuums_left(const Vacuuming *vacuuming, int workers)
{
	const Step *step = vacuuming->step;
	double		done = step->blocks_total - step->blocks_left;
	double		worth = rows_worth_vacuum(step);
	double		indexed = step->rows_indexed - vacuuming->indexed_before;
	int			most;

	if (setting_vacuum_every == 0 || vacuuming->refused)
		return 0;
	if (workers > 1 || done <= 0 || worth <= 0)
		return 1;
	indexed += step->rows_indexed / done * step->blocks_left;
	most = 100 / setting_vacuum_every;
	return 1 + (int) Min(indexed / worth, most);
}

/*-------------------------------------------------------------------------
 * The steps that go over the blocks of tables: backfill and verify.
 *
 * The runner starts its workers for one kind of steps and waits for them to
 * end.  They share the blocks through catalog/step.c and do not communicate
 * otherwise.  If a worker fails on some blocks, the runner finds them not
 * done, tries them, and reports the error.
 *-------------------------------------------------------------------------
 */

PROCESS_MAIN(tandem_fill_main);

typedef struct Fill
{
	Migration  *migration;
	StepKind	kind;
	int			worker;			/* 0 for the runner */
	int			workers;
	List	   *handles;		/* handles of the other workers */
	KnownUses	uses;
} Fill;

bool
fill_proof_holds(const Step *step, KnownUses *uses)
{
	char	   *version = sync_trigger_version(step->relation);

	return step->trigger_version && version &&
		strcmp(step->trigger_version, version) == 0 &&
		step->rows_quarantined == 0 &&
		(step->kind != STEP_VERIFY ||
		 !rule_uses_changed(step->uses,
							known_uses_of_table(uses, step->relation,
												step->migration_id,
												KNOWN_USES_FOR_MS)));
}

bool
fill_is_complete(const Migration *migration, const SyncRule *rule)
{
	List	   *leaves = table_leaves(rule->relation);
	List	   *fills = step_list_of_tables(migration->id, STEP_BACKFILL, leaves);
	ListCell   *lc;

	if (!rule_has_new_side(rule))
		return true;
	foreach(lc, leaves)
	{
		Step	   *fill = step_find(fills, lfirst_oid(lc));

		if (fill == NULL || !fill->done || !fill_proof_holds(fill, NULL))
			return false;
	}
	return true;
}

/* The step that this process works on. */
typedef struct FillStep
{
	const Fill *fill;
	Step	   *step;
	StepRun    *run;
	ProgressNotice notice;
	Vacuuming	vacuuming;
	bool		vacuums;		/* false if another process vacuums the table */
} FillStep;

static void
fill_batch(Loop *loop)
{
	FillStep   *at = loop->arg;

	if (loop->waited)
		step_run_skip_time(at->run, loop->paused);
	if (at->vacuums)
	{
		step_run_note_vacuums(at->run, at->vacuuming.seconds,
							  vacuum_length(&at->vacuuming,
											throttle_sees_load(loop->throttle)),
							  vacuums_left(&at->vacuuming, at->fill->workers));
		at->vacuuming.seconds = 0;
	}
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
run_fill_batches(FillStep *at, Throttle *throttle)
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

	progress_notice_start(&at->notice);
	loop_run(&loop);
	/* a partition may have been dropped meanwhile */
	if (at->fill->worker != 0 || !relation_exists(at->step->relation))
		return;
	step_refresh(at->step);
	progress_notice_end(&at->notice, at->step);
}

static void
run_fill_step(Fill *fill, Step *step)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem step",
												  ALLOCSET_DEFAULT_SIZES);
	FillStep	at = {.fill = fill,.step = step};
	Throttle   *throttle;
	LOCKTAG		claim;

	at.vacuums = step->kind == STEP_BACKFILL &&
		step_claim_chunk(step, STEP_VACUUM, &claim);
	MemoryContextSwitchTo(context);
	at.run = step_run_begin(fill->migration, step, fill->worker, fill->workers,
							&fill->uses);
	throttle = throttle_create(fill->migration, step->relation, fill->workers,
							   migration_runner_of_process());
	vacuuming_start(&at.vacuuming, fill->migration, step);
	transaction_commit();
	run_fill_batches(&at, throttle);
	step_run_end(at.run);
	if (at.vacuums)
		step_leave_chunk(&claim);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Is there anything to do for the step in this run? */
static bool
fill_step_is_open(const Step *step, KnownUses *uses)
{
	/* partitions may be attached, detached and dropped */
	if (get_rel_relkind(step->relation) != RELKIND_RELATION ||
		!sync_trigger_version(step->relation))
		return false;
	return !step->done || !fill_proof_holds(step, uses);
}

/*
 * Each worker starts at another table and goes around.  So they share a table
 * only if there are fewer tables than workers, or at the end.
 */
static void
run_fill_steps(Fill *fill)
{
	List	   *steps = step_list(fill->migration->id, fill->kind);
	int			count = list_length(steps);
	int			first = count * fill->worker / fill->workers;

	for (int i = 0; i < count; i++)
	{
		Step	   *step = list_nth(steps, (first + i) % count);

		if (step_is_open(step->id) && fill_step_is_open(step, &fill->uses))
			run_fill_step(fill, step);
	}
}

/*
 * Notes the sizes of the tables whose step has not begun, except those that
 * somebody has locked.
 */
static void
note_table_sizes(const Migration *migration, List *steps)
{
	List	   *relids = NIL;
	List	   *sizes = NIL;
	ListCell   *lc;

	foreach(lc, steps)
	{
		Step	   *step = lfirst(lc);
		Relation	rel;
		bool		gone;

		if (step->started || step->done ||
			get_rel_relkind(step->relation) != RELKIND_RELATION)
			continue;
		rel = relation_open_nowait(step->relation, &gone);
		if (rel == NULL)
			continue;
		relids = lappend_oid(relids, step->relation);
		sizes = lappend_oid(sizes, RelationGetNumberOfBlocks(rel));
		table_close(rel, AccessShareLock);
	}
	if (relids != NIL)
		step_note_sizes(migration->id, relids, sizes);
}

/*
 * Starts steps again that were done under another trigger, and failed
 * verifies.
 */
static void
reopen_fill_steps(const Migration *migration, StepKind kind)
{
	KnownUses	uses;
	ListCell   *lc;

	known_uses_init(&uses);
	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		if (fill_step_is_open(step, &uses) && (step->done || !step->started))
			step_reopen(step->id);
	}
	step_forget_errors(migration->id, kind);
	note_table_sizes(migration, step_list(migration->id, kind));
}

static void
run_steps_as_worker(void *arg)
{
	Fill	   *fill = arg;

	if (fill->migration)
		run_fill_steps(fill);
}

static void
end_worker_command(void *arg)
{
	command_end();
}

static void
join_fill_as_worker(const ProcessOrder *order)
{
	Fill		fill = {0};

	session_begin();
	loop_transactions(true);
	if (migration_join_workers(order->migration_id, order->runner))
		fill.migration = migration_by_id(order->migration_id);
	fill.kind = (StepKind) order->step_kind;
	fill.worker = order->worker;
	fill.workers = order->workers;
	known_uses_init(&fill.uses);
	process_with_cleanup(run_steps_as_worker, end_worker_command, &fill);
	session_end();
}

/* Main function of a worker other than the runner. */
void
tandem_fill_main(Datum argument)
{
	process_run(join_fill_as_worker);
}

static void
start_fill_workers(Fill *fill)
{
	ProcessOrder order;

	if (fill->workers > 1)
		command_end();
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
wait_for_fill_workers(Fill *fill)
{
	ListCell   *lc;

	foreach(lc, fill->handles)
		(void) WaitForBackgroundWorkerShutdown(lfirst(lc));
	fill->handles = NIL;
}

static void
fill_with_workers(void *arg)
{
	Fill	   *fill = arg;

	start_fill_workers(fill);
	run_fill_steps(fill);
	/* the workers may wait for who waits for us, which nobody would see */
	transaction_commit();
	wait_for_fill_workers(fill);
}

/* After an error, or at exit, there may be some left. */
static void
end_fill_workers(void *arg)
{
	Fill	   *fill = arg;
	ListCell   *lc;

	foreach(lc, fill->handles)
		TerminateBackgroundWorker(lfirst(lc));
	if (!proc_exit_inprogress)
		wait_for_fill_workers(fill);
}

void
fill_run(Migration *migration, StepKind kind, int workers)
{
	Fill	   *fill = palloc0(sizeof(Fill));

	fill->migration = migration;
	fill->kind = kind;
	fill->workers = workers;
	known_uses_init(&fill->uses);
	reopen_fill_steps(migration, kind);
	transaction_commit();
	process_with_cleanup(fill_with_workers, end_fill_workers, fill);
	/* do what workers have left undone */
	fill->workers = 1;
	run_fill_steps(fill);
}
