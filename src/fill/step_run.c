/*
 * step_run.c
 *		Runs a step over the blocks of its table.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "catalog/unfinished.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "fill/batch.h"
#include "fill/former_writers.h"
#include "fill/pages.h"
#include "fill/step_run.h"
#include "fill/throttle.h"
#include "fill/verify.h"
#include "rule/fill_mark.h"
#include "rule/relation_rules.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"

/*-------------------------------------------------------------------------
 * Running a step of the migrate phase over its table, batch by batch.
 *
 * A batch is one transaction.  It takes blocks off the step's list and works
 * on them, so after a crash neither has happened.  The loop (run/loop.c)
 * commits, and records the error if there is one.
 *
 * Locks, in this order: the runner lock (session), the stop lock (shared, for
 * the batch), of a partition the topmost table (ACCESS SHARE, for the batch),
 * the table (ROW EXCLUSIVE or ACCESS SHARE, for the batch).
 *-------------------------------------------------------------------------
 */

#define FIRST_PAUSE_MS 20
#define LONGEST_PAUSE_MS 2000

/* blocks pruned per block filled; pruning is that much cheaper */
#define RECLAIM_RATIO 4

struct StepRun
{
	Migration  *migration;
	Step	   *step;
	char	   *search_path;	/* of the session that created the sync */
	int			worker;			/* number of this worker, from 0 */
	int			workers;		/* total number of workers */
	ChunkScan	scan;			/* chunk being worked on */
	TriedRows  *tried;			/* of that chunk */
	Pacing		pacing;
	Reclaim		reclaim;		/* ranges that earlier batches have filled */
	BatchResult result;			/* of the last batch that filled */
	BlocksLeft	left;
	KnownUses  *uses;			/* what the rules use */
	List	   *writers;		/* for whom the verify waits before it begins, */
	bool		writers_known;	/* once they are known */
	int			target_ms;		/* maximum duration of a batch */
	const char *rest;			/* reason for the pause after the batch, or
								 * NULL */
	int64		rows;			/* written or verified by the last batch */
	int64		counted_to;		/* the time until this is in step.run_time */
	int64		counted_from;	/* see StepAdvance, */
	double		vacuum_seconds;
	double		vacuum_length;
	int			vacuums_left;
	bool		phase_noted;
	float	   *partly;			/* for each block of the chunk: which part of
								 * it is filled */
	float	   *partly_before;	/* before the batch, restored on failure */
	BlockNumber partly_blocks;	/* their number */
	bool		partly_kept;	/* the arrays are of the chunk at work */
	double		partly_left;	/* sum of chunks that were left, in the step
								 * still */
	double		partly_left_before;
	bool		partly_counted; /* the batch has changed these */
	int64		left_blocked;	/* blocks with locked rows in this pass */
	bool		guarded;		/* an expression that judges rows has failed */
	const char *blockers;		/* who holds them, in the last batch */
	long		pause_ms;
	Step		step_before;	/* the step before the batch, restored on
								 * failure */
	BlockNumber cursor_before;
};

/*
 * Returns NULL if the table was a partition that has been detached or dropped.
 */
static Relation
open_step_table(StepRun *run)
{
	LOCKMODE	mode = run->step->kind == STEP_BACKFILL
	? RowExclusiveLock : AccessShareLock;
	Relation	rel = table_open_leaf(run->step->relation, mode);

	if (rel && relation_has_sync_trigger(rel))
	{
		/* an extension may have taken over the table's storage since expand */
		table_rows_check_local(list_make1_oid(run->step->relation));
		return rel;
	}
	if (sync_path_of_leaf(run->migration->id, run->step->relation) == NULL)
	{
		if (rel)
			table_close(rel, NoLock);
		return NULL;
	}
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u of migration \"%s\" was dropped",
						run->step->relation, run->migration->name),
				 errhint("Call tandem.abort to end the migration.")));
	return rel;
}

/* Each process starts at its own part of the table. */
static BlockNumber
first_block_of_process(const StepRun *run)
{
	return (BlockNumber) (run->step->blocks_total / run->workers * run->worker);
}

/*
 * Returns what the rules use, by which a verify judges rows; NULL for a
 * backfill, which has done its rows whatever the rules used.
 */
static const char *
uses_of_step(StepRun *run)
{
	if (run->step->kind != STEP_VERIFY)
		return NULL;
	return known_uses_of_table(run->uses, run->step->relation,
							   run->migration->id, KNOWN_USES_FOR_MS);
}

/*
 * Was it started for this file, this trigger, and what the rules use now?
 */
static bool
step_goes_on(const Step *step, const char *table_file,
			 const char *trigger_version, const char *uses)
{
	return step->started && step->table_file &&
		strcmp(step->table_file, table_file) == 0 &&
		step->trigger_version && trigger_version &&
		strcmp(step->trigger_version, trigger_version) == 0 &&
		!rule_uses_changed(step->uses, uses);
}

/*
 * Rows that were written under the former definition of what the rules use are
 * seen only when who has written them has committed.  So a verify that begins
 * after a change waits for all that have the table locked to write it.
 */
static bool
former_writers_have_ended(StepRun *run, Oid relid, const char *uses)
{
	MemoryContext caller;
	char	   *left;

	if (run->step->kind != STEP_VERIFY ||
		(!rule_uses_note_change(uses) &&
		 !(run->step->started && rule_uses_changed(run->step->uses, uses))))
		return true;
	if (!run->writers_known)
	{
		caller = MemoryContextSwitchTo(GetMemoryChunkContext(run));
		run->writers = former_writers_find(list_make1_oid(relid));
		run->writers_known = true;
		MemoryContextSwitchTo(caller);
	}
	left = former_writers_left(list_make1_oid(relid), run->writers);
	if (left == NULL)
	{
		run->writers_known = false;
		return true;
	}
	run->blockers = psprintf("what the rules use was changed while these wrote the table: %s",
							 left);
	step_set_waiting(run->step->id, NULL, run->blockers);
	return false;
}

/*
 * Starts the step.  Starts it again if its list of blocks is for another file
 * than the table's current one, if its rows were done under another trigger,
 * or if a function that the rules use was replaced.  Returns false if it cannot
 * begin yet.
 */
static bool
prepare_step_blocks(StepRun *run, Relation rel)
{
	Step	   *step = run->step;
	char	   *table_file = fill_mark_file(rel);	/* the file that the list
													 * of blocks is for */
	char	   *trigger_version = sync_trigger_version(RelationGetRelid(rel));
	const char *uses = uses_of_step(run);

	if (step_goes_on(step, table_file, trigger_version, uses))
	{
		/* a run that has died may have left another */
		if (!run->phase_noted)
			step_set_phase(step->id, step_work_phase(step));
		run->phase_noted = true;
		return true;
	}
	if (!former_writers_have_ended(run, RelationGetRelid(rel), uses))
		return false;
	step_start(step, table_file, RelationGetNumberOfBlocks(rel),
			   trigger_version, uses);
	run->phase_noted = true;
	run->partly_kept = false;
	run->partly_left = 0;
	run->scan.cursor = first_block_of_process(run);
	tried_rows_forget(run->tried);
	return true;
}

static Trigger *
sync_trigger_to_run(Relation rel)
{
	Trigger    *trigger = relation_sync_trigger(rel);

	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has lost its sync trigger",
						RelationGetRelationName(rel)),
				 errhint("Call tandem.migrate again: it creates the trigger again and fills what was missed.")));
	return trigger;
}

/* Fills the blocks as the owner of the table. */
static void
fill_batch_blocks(StepRun *run, Relation rel, Blocks *blocks,
				  StepAdvance *advance, List **again)
{
	AuthorityScope scope;
	BatchResult *result = &run->result;
	BatchOrder	order = {
		.migration = run->migration->name,
		.refill = run->step->refill,
		.refill_derived = run->step->refill_derived,
		.guarded = run->guarded,
		.sample = Max(BATCH_SAMPLE - (int) Min(run->step->rows_lossy, BATCH_SAMPLE), 0),
		.tried = run->tried,
	};

	memset(result, 0, sizeof(BatchResult));
	authority_enter_owner(&scope, rel, run->search_path);
	batch_fill(row_state_create(rel, sync_trigger_to_run(rel)), &order,
			   blocks, result);
	authority_leave(&scope);
	if (result->waited_for)
	{
		blocks_cut(blocks, result->last);
		pacing_shrink(&run->pacing);
		advance->blockers = "sessions waited for rows of the batch, which was cut short";
	}
	advance->rows_done = result->rows_done;
	advance->rows_filled = result->rows_filled;
	advance->rows_indexed = result->rows_indexed;
	advance->rows_quarantined = result->rows_quarantined;
	advance->rows_lossy = result->rows_lossy;
	advance->lossy = result->lossy;
	*again = result->again;
	run->left_blocked += result->locked;
	run->scan.crowded |= result->crowded > 0;
	if (result->locked > 0)
		advance->blockers = batch_rows_locked_by(result->holder);
}

static void
verify_batch_blocks(StepRun *run, Relation rel, const Blocks *blocks,
					StepAdvance *advance)
{
	RowState   *state;
	AuthorityScope scope;
	VerifyResult result;

	verify_result_init(&result);
	authority_enter_owner(&scope, rel, run->search_path);
	state = row_state_create(rel, sync_trigger_to_run(rel));
	for (int i = 0; i < blocks->nranges; i++)
		verify_blocks(state, run->migration->name, blocks->ranges[i].first,
					  blocks->ranges[i].last, &result);
	authority_leave(&scope);
	advance->rows_done = result.rows_checked;
	advance->rows_unfilled = result.rows_unfilled;
	advance->rows_mismatched = result.rows_mismatched;
	advance->rows_own = result.rows_own;
	advance->rows_quarantined = result.rows_quarantined;
	advance->rows_lossy = result.rows_lossy;
	/* the step has its samples, once it has counted enough */
	if (run->step->rows_unfilled + run->step->rows_mismatched < BATCH_SAMPLE)
		advance->wrong = result.wrong;
	if (run->step->rows_lossy < BATCH_SAMPLE)
		advance->lossy = result.lossy;
}

/*
 * Returns the seconds since the last call, divided among the working
 * processes.
 */
static double
count_step_seconds(StepRun *run)
{
	int64		now = clock_now();
	double		seconds = (now - run->counted_to) / (double) USECS_PER_SEC;

	run->counted_to = now;
	return seconds / run->workers;
}

static double
ms_since(int64 then)
{
	return (clock_now() - then) / 1000.0;
}

/*-------------------------------------------------------------------------
 * Parts of blocks.
 *
 * A page is visited about ten times (pages.h), and its block is off the list
 * after the last visit only.  So that the step moves on meanwhile, and is not
 * said to take for ever, the part of its rows that is filled counts.  The step
 * has the sum, each process the parts of its chunk.
 *-------------------------------------------------------------------------
 */

static double
partly_sum(const StepRun *run)
{
	double		sum = 0;

	for (BlockNumber i = 0; run->partly_kept && i < run->partly_blocks; i++)
		sum += run->partly[i];
	return sum;
}

/* Forgets the parts of the chunk.  What they are in the step is taken back. */
static void
partly_leave_chunk(StepRun *run)
{
	run->partly_left += partly_sum(run);
	run->partly_kept = false;
}

static void
partly_enter_chunk(StepRun *run)
{
	BlockNumber size = step_chunk_blocks(run->step, run->workers);

	if (run->partly_kept)
		return;
	if (run->partly_blocks < size)
	{
		MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(run));

		run->partly = palloc(sizeof(float) * size);
		run->partly_before = palloc(sizeof(float) * size);
		run->partly_blocks = size;
		MemoryContextSwitchTo(caller);
	}
	memset(run->partly, 0, sizeof(float) * run->partly_blocks);
	run->partly_kept = true;
}

/* Returns the part of the block of the chunk at work. */
static float *
partly_of_block(StepRun *run, BlockNumber block)
{
	return &run->partly[Min(block - run->scan.first, run->partly_blocks - 1)];
}

/*
 * Counts the blocks of a batch, which are done but for those in again, of which
 * filled has the parts that the batch has filled.
 */
static void
partly_count(StepRun *run, const Blocks *blocks, List *again, List *filled,
			 StepAdvance *advance)
{
	double		before;
	ListCell   *block;
	ListCell   *part;

	/* a verify is done with a block at its only visit */
	advance->blocks = blocks_count(blocks) - list_length(again);
	if (run->step->kind != STEP_BACKFILL)
		return;
	partly_enter_chunk(run);
	memcpy(run->partly_before, run->partly, sizeof(float) * run->partly_blocks);
	before = partly_sum(run);
	forboth(block, again, part, filled)
	{
		float	   *done = partly_of_block(run, lfirst_oid(block));

		/* negative: not to be taken for a block that is done, below */
		*done = -Min(*done + lfirst_int(part) / 1000.0f, 0.99f);
	}
	for (int i = 0; i < blocks->nranges; i++)
	{
		for (BlockNumber b = blocks->ranges[i].first; b <= blocks->ranges[i].last; b++)
		{
			float	   *done = partly_of_block(run, b);

			*done = *done < 0 ? -*done : 0;
		}
	}
	advance->partly = partly_sum(run) - before;
	advance->blocks += advance->partly;
	advance->partly -= run->partly_left;
	run->partly_left_before = run->partly_left;
	run->partly_left = 0;
	run->partly_counted = true;
}

/* Called when the batch has been rolled back. */
static void
partly_restore(StepRun *run)
{
	if (!run->partly_counted)
		return;
	memcpy(run->partly, run->partly_before, sizeof(float) * run->partly_blocks);
	run->partly_left = run->partly_left_before;
}

/* Fills or verifies the blocks of a batch, which this process has claimed. */
static void
work_on_batch_blocks(StepRun *run, Relation rel, Blocks *blocks)
{
	Step	   *step = run->step;
	StepAdvance advance = {0};
	List	   *again = NIL;
	int64		started = clock_now();
	double		ms;

	if (step->kind == STEP_BACKFILL)
		fill_batch_blocks(run, rel, blocks, &advance, &again);
	else
		verify_batch_blocks(run, rel, blocks, &advance);
	ms = ms_since(started);
	run->rows = step->kind == STEP_BACKFILL ? advance.rows_filled
		: advance.rows_done;
	run->blockers = advance.blockers;
	advance.waiting = run->rest;
	advance.seconds = count_step_seconds(run);
	advance.batch_blocks = run->pacing.blocks;
	advance.counted_from = run->counted_from;
	advance.vacuum_seconds = run->vacuum_seconds;
	advance.vacuum_length = run->vacuum_length;
	advance.vacuums_left = run->vacuums_left;
	partly_count(run, blocks, again, run->result.again_filled, &advance);
	run->vacuum_seconds = 0;
	step_advance(step, blocks, again, &advance);
	run->scan.filled |= advance.rows_filled > 0;
	pacing_learn(&run->pacing, blocks_count(blocks), ms, run->target_ms);
}

/*
 * Called by the process that finds no block left.  A verify that has found
 * mismatches proves nothing, which is recorded in the same transaction.
 */
static void
end_step_without_blocks(Step *step)
{
	step_refresh(step);
	if (step->kind != STEP_VERIFY ||
		step->rows_unfilled + step->rows_mismatched == 0)
		step_finish(step);
	else
		step_set_error(step->id,
					   psprintf(INT64_FORMAT " rows unfilled, " INT64_FORMAT " mismatched",
								step->rows_unfilled, step->rows_mismatched), NULL);
}

static int
largest_batch_blocks(const StepRun *run)
{
	if (run->step->kind != STEP_BACKFILL)
		return run->pacing.blocks;
	return Min(run->pacing.blocks,
			   chunk_scan_largest_batch(&run->scan, run->step));
}

/* Runs one batch on the table. */
static void
work_on_step_table(StepRun *run, Relation rel)
{
	Blocks		blocks;
	BlockNumber chunk = run->scan.chunk;

	/* only a part, so that this does not become a long batch of its own */
	reclaim_run(&run->reclaim, rel, RECLAIM_RATIO * run->pacing.blocks);
	if (!prepare_step_blocks(run, rel))
	{
		run->left = BLOCKS_OF_OTHERS;
		return;
	}
	run->left = chunk_scan_next_blocks(&run->scan, run->step,
									   largest_batch_blocks(run),
									   &blocks, &run->reclaim);
	if (run->scan.chunk != chunk)
	{
		tried_rows_forget(run->tried);
		partly_leave_chunk(run);
	}
	if (run->left == BLOCKS_CLAIMED)
	{
		/*
		 * taken after the claim, to see what the previous owner of the blocks
		 * has done
		 */
		PushActiveSnapshot(GetLatestSnapshot());
		work_on_batch_blocks(run, rel, &blocks);
		PopActiveSnapshot();
	}
	else if (run->left == BLOCKS_NONE)
		end_step_without_blocks(run->step);
}

/*
 * Records the error.  When a worker fails, the runner tries the batch again
 * and records the error if it fails there, too.
 */
static void
note_batch_failure(StepRun *run, ErrorData *error)
{
	if (error_is_intervention(error))
		return;
	if (ItemPointerIsValid(&run->result.row))
		failed_row_name(error, "filling", run->step->relation, &run->result.row);
	if (error->hint == NULL)
		error->hint = unfinished_hint(run->migration, run->step->relation,
									  error);
	if (run->worker == 0)
		batch_record_error(error, run->step->id);
}

/*
 * The batch waited too long and was rolled back, so nobody waits for it now.
 * Try it again with fewer blocks, to get most of them done.  A single block is
 * left for the next pass.
 */
static void
retry_smaller_batch(StepRun *run, const ErrorData *error)
{
	if (run->pacing.blocks > 1)
	{
		pacing_shrink(&run->pacing);
		run->scan.cursor = run->cursor_before;
	}
	else
		run->left_blocked++;
	run->blockers = psprintf("another session: %s", error->message);
	step_set_waiting(run->step->id, NULL, run->blockers);
}

StepRun *
step_run_begin(Migration *migration, Step *step, int worker, int workers,
			   KnownUses *uses)
{
	StepRun    *run = palloc0(sizeof(StepRun));

	run->migration = migration;
	run->step = step;
	run->uses = uses;
	run->worker = worker;
	run->workers = workers;
	run->scan.workers = workers;
	run->scan.cursor = first_block_of_process(run);
	run->tried = tried_rows_create();
	run->pause_ms = FIRST_PAUSE_MS;
	run->search_path = sync_path_of_leaf(migration->id, step->relation);
	run->counted_to = run->counted_from = clock_now();
	run->vacuums_left = -1;
	reclaim_start(&run->reclaim);
	pacing_start(&run->pacing, step->batch_blocks);
	return run;
}

bool
step_run_batch(StepRun *run, int target_ms, const char *rest)
{
	Relation	rel;

	run->target_ms = target_ms;
	run->rest = rest;
	run->rows = 0;
	run->blockers = NULL;
	run->partly_counted = false;
	run->step_before = *run->step;
	run->cursor_before = run->scan.cursor;
	ItemPointerSetInvalid(&run->result.row);
	run->result.judging = false;
	batch_apply_settings();
	rel = open_step_table(run);
	if (rel == NULL)
		run->left = BLOCKS_NONE;
	else
	{
		work_on_step_table(run, rel);
		table_close(rel, NoLock);
	}
	return run->left != BLOCKS_NONE;
}

bool
step_run_passes(StepRun *run, ErrorData *error)
{
	*run->step = run->step_before;
	run->rows = 0;
	partly_restore(run);
	tried_rows_forget(run->tried);
	if (run->result.judging && !run->guarded && error_is_of_row(error))
	{
		/* only the judgement failed: see the same rows again, with care */
		run->guarded = true;
		run->scan.cursor = run->cursor_before;
		return true;
	}
	if (error_passes_with_others(error))
	{
		retry_smaller_batch(run, error);
		return true;
	}
	note_batch_failure(run, error);
	return false;
}

int64
step_run_rows(const StepRun *run)
{
	return run->rows;
}

const char *
step_run_blockers(const StepRun *run)
{
	return run->blockers;
}

/* The pause doubles each time. */
long
step_run_rest_ms(StepRun *run)
{
	long		rest = 0;

	if ((!run->scan.wrapped && !run->writers_known) || run->left == BLOCKS_NONE)
		return 0;
	if (run->left_blocked > 0 || run->left == BLOCKS_OF_OTHERS)
	{
		rest = run->pause_ms;
		run->pause_ms = Min(run->pause_ms * 2, LONGEST_PAUSE_MS);
	}
	else
		run->pause_ms = FIRST_PAUSE_MS;
	run->left_blocked = 0;
	return rest;
}

void
step_run_skip_time(StepRun *run, bool paused)
{
	run->counted_to = clock_now();
	if (paused)
		run->counted_from = run->counted_to;
}

void
step_run_note_vacuums(StepRun *run, double seconds, double length, int left)
{
	run->vacuum_seconds += seconds;
	run->vacuum_length = length;
	run->vacuums_left = left;
}

void
step_run_end(StepRun *run)
{
	chunk_scan_leave(&run->scan);
	pfree(run);
}
