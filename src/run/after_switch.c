/*
 * after_switch.c
 *		Changes rows once the release of a migration is the current one.
 *
 * A pass goes over the blocks of a table in batches, like a fill.  Meanwhile rows move
 * from blocks that it has not seen to blocks that it has, so it proves nothing.  After
 * it the table is looked at once more, under one snapshot, and if a row is left another
 * pass follows.
 */
#include "postgres.h"

#include "access/table.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/after_switch.h"
#include "catalog/migration_lock.h"
#include "catalog/step.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/batch.h"
#include "fill/switch_update.h"
#include "fill/throttle.h"
#include "rule/fill_mark.h"
#include "run/after_switch.h"
#include "run/loop.h"
#include "run/process.h"

/*-------------------------------------------------------------------------
 * One pass over a leaf table.
 *-------------------------------------------------------------------------
 */

typedef struct Pass
{
	const Migration *migration;
	List	   *changes;		/* those that are due, of one table */
	bool		switched;		/* in which direction */
	bool		turned;			/* that has changed meanwhile */
	Step	   *step;
	Step		step_before;	/* before the batch, restored on failure */
	Throttle   *throttle;
	Pacing		pacing;
	BlockNumber cursor;
	BlockNumber cursor_before;
	SwitchUpdateResult result;	/* of the last batch */
	int64		changed;		/* rows of the pass so far */
	int64		counted_to;
	bool		locked;			/* a block was left since the first one */
	double		pause;			/* of lock_next_pause */
} Pass;

static void
begin_pass_of_table(Pass *pass, Relation rel)
{
	Step	   *step = pass->step;
	char	   *file = fill_mark_file(rel);

	if (step->started && step->table_file && strcmp(step->table_file, file) == 0)
		return;
	/* of a rewritten table the blocks are others */
	if (step->started)
		step_reopen(step->id);
	step_start(step, file, RelationGetNumberOfBlocks(rel), NULL, NULL);
	pass->cursor = 0;
}

/* Finds blocks, from the first one again where some were left. */
static bool
next_blocks_of_pass(Pass *pass, Blocks *blocks, long *rest_ms)
{
	int64		end = pass->step->blocks_total;

	if (step_next_blocks(pass->step, &pass->cursor, end, pass->pacing.blocks, blocks))
		return true;
	pass->cursor = 0;
	if (!step_next_blocks(pass->step, &pass->cursor, end, pass->pacing.blocks, blocks))
		return false;
	if (pass->locked)
		*rest_ms = lock_next_pause(&pass->pause);
	pass->locked = false;
	return true;
}

static void
change_blocks(Pass *pass, Relation rel, const Blocks *blocks)
{
	int64		started = clock_now();
	StepAdvance advance = {0};
	SwitchUpdateResult *result = &pass->result;
	ListCell   *lc;

	foreach(lc, pass->changes)
	{
		int64		before = result->rows_changed;

		switch_update_blocks(rel, lfirst(lc), blocks, result);
		if (result->rows_changed > before)
			after_switch_note_rows(lfirst(lc), result->rows_changed - before);
	}
	advance.rows_done = result->rows_seen / Max(list_length(pass->changes), 1);
	advance.rows_filled = result->rows_changed;
	advance.waiting = throttle_rest(pass->throttle);
	advance.batch_blocks = pass->pacing.blocks;
	advance.blocks = blocks_count(blocks) - list_length(result->again);
	advance.vacuums_left = -1;
	advance.counted_from = pass->counted_to;
	pass->counted_to = clock_now();
	advance.seconds = (pass->counted_to - advance.counted_from) / (double) USECS_PER_SEC;
	if (result->locked)
	{
		pass->locked = true;
		advance.blockers = batch_rows_locked_by(result->holder);
	}
	step_advance(pass->step, blocks, result->again, &advance);
	pacing_learn(&pass->pacing, blocks_count(blocks),
				 (clock_now() - started) / 1000.0,
				 throttle_batch_target(pass->throttle));
}

/*
 * The direction is asked for in the transaction of the batch, whose changes a switch
 * back finds then.
 */
static void
work_on_pass(Loop *loop)
{
	Pass	   *pass = loop->arg;
	Relation	rel;
	Blocks		blocks;

	memset(&pass->result, 0, sizeof(SwitchUpdateResult));
	pass->step_before = *pass->step;
	pass->cursor_before = pass->cursor;
	pass->turned = after_switch_is_switched(pass->migration->id) != pass->switched;
	if (pass->turned)
		return;
	batch_apply_settings();
	rel = table_open_leaf(pass->step->relation, RowExclusiveLock);
	/* a partition may have been dropped */
	if (rel == NULL)
		return;
	begin_pass_of_table(pass, rel);
	loop->more = next_blocks_of_pass(pass, &blocks, &loop->rest_ms);
	if (loop->more)
	{
		PushActiveSnapshot(GetLatestSnapshot());
		change_blocks(pass, rel, &blocks);
		PopActiveSnapshot();
	}
	table_close(rel, NoLock);
}

static bool
pass_error_passes(Loop *loop, ErrorData *error)
{
	Pass	   *pass = loop->arg;

	*pass->step = pass->step_before;
	pass->cursor = pass->cursor_before;
	if (error_passes_with_others(error))
	{
		pacing_shrink(&pass->pacing);
		step_set_waiting(pass->step->id, NULL,
						 psprintf("another session: %s", error->message));
		loop->rest_ms = lock_next_pause(&pass->pause);
		return true;
	}
	if (error_is_intervention(error))
		return false;
	if (ItemPointerIsValid(&pass->result.row))
		failed_row_name(error, "changing", pass->step->relation, &pass->result.row);
	batch_record_error(error, pass->step->id);
	return false;
}

static ErrorData *
after_batch_of_pass(Loop *loop)
{
	Pass	   *pass = loop->arg;

	throttle_learn(loop->throttle, pass->result.rows_changed, loop->ms);
	pass->changed += pass->result.rows_changed;
	if (!pass->locked)
		pass->pause = 0;
	return NULL;
}

/* Each pass begins anew: a run that has died has not looked since. */
static void
run_pass(Pass *pass, Step *step)
{
	Loop		loop = {
		.migration = pass->migration,
		.step_id = step->id,
		.arg = pass,
		.work = work_on_pass,
		.passes = pass_error_passes,
		.after = after_batch_of_pass,
	};

	pass->step = step;
	pass->cursor = 0;
	pass->locked = false;
	pass->pause = 0;
	pass->counted_to = clock_now();
	pacing_start(&pass->pacing, step->batch_blocks);
	pass->throttle = loop.throttle = throttle_create(pass->migration, step->relation, 1,
													 migration_runner_of_process());
	step_reopen(step->id);
	step->started = false;
	transaction_commit();
	loop_run(&loop);
}

/*-------------------------------------------------------------------------
 * The look after it.
 *-------------------------------------------------------------------------
 */

/* blocks between two looks whether somebody wants the run to stop */
#define LOOK_BLOCKS 1024

static bool
leaf_has_row_left(const Pass *pass, Relation rel)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	ListCell   *lc;

	for (int64 first = 0; first < blocks; first += LOOK_BLOCKS)
	{
		BlockNumber last = Min(first + LOOK_BLOCKS, blocks) - 1;
		ItemPointerData row;

		CHECK_FOR_INTERRUPTS();
		migration_refuse_stop(pass->migration);
		foreach(lc, pass->changes)
		{
			if (!switch_update_is_needed(rel, lfirst(lc), first, last, &row))
				continue;
			switch_update_refuse_circle(rel, pass->changes, &row);
			return true;
		}
	}
	return false;
}

typedef struct Look
{
	const Pass *pass;
	Oid			relation;
	bool		left;
} Look;

/*
 * One snapshot, which sees each row in one place.  The tables are locked before it is
 * taken: of one that is rewritten meanwhile an older one would see no row.  The lists
 * of regions that have switched are older: what these have written before is here.
 */
static void
look_at_table(void *arg)
{
	Look	   *look = arg;
	List	   *relids = table_leaves(look->relation);
	List	   *rels = NIL;
	ListCell   *lc;

	batch_apply_settings();
	foreach(lc, relids)
	{
		Relation	rel = table_open_leaf(lfirst_oid(lc), AccessShareLock);

		if (rel)
			rels = lappend(rels, rel);
	}
	PushActiveSnapshot(GetLatestSnapshot());
	/* what was attached meanwhile no pass has seen */
	look->left = list_difference_oid(table_leaves(look->relation), relids) != NIL;
	foreach(lc, rels)
	{
		look->left = look->left || leaf_has_row_left(look->pass, lfirst(lc));
		table_close(lfirst(lc), NoLock);
	}
	PopActiveSnapshot();
}

COMPAT_NORETURN static void
fail_look(List *steps, ErrorData *error)
{
	ListCell   *lc;

	foreach(lc, steps)
	{
		step_set_phase(((Step *) lfirst(lc))->id, DOING_NOTHING);
		step_set_error(((Step *) lfirst(lc))->id, error->message, error->hint);
	}
	transaction_commit();
	ReThrowError(error);
}

/* Where somebody holds a lock, another pass waits for it, and shows who that is. */
static bool
table_has_row_left(const Pass *pass, Oid relation, List *steps)
{
	Look		look = {.pass = pass,.relation = relation};
	ErrorData  *error;
	ListCell   *lc;

	foreach(lc, steps)
		step_set_doing(((Step *) lfirst(lc))->id, DOING_VERIFY,
					   "looking whether a row is left", 0, 0);
	transaction_commit();
	error = subtransaction_try(look_at_table, &look);
	if (error && !error_passes_with_others(error))
		fail_look(steps, error);
	look.left |= error != NULL;
	foreach(lc, steps)
	{
		if (look.left)
			step_set_phase(((Step *) lfirst(lc))->id, DOING_NOTHING);
		else
			step_finish(lfirst(lc));
	}
	return look.left;
}

/*-------------------------------------------------------------------------
 * All tables.
 *-------------------------------------------------------------------------
 */

/* Returns the ones of the first table of which any is due, and the same way. */
static List *
next_due(const Migration *migration)
{
	List	   *due = NIL;
	ListCell   *lc;

	foreach(lc, after_switch_list(migration->id))
	{
		AfterSwitch *change = lfirst(lc);

		if (change->due && relation_exists(change->relation) &&
			(due == NIL || ((AfterSwitch *) linitial(due))->relation == change->relation))
			due = lappend(due, change);
	}
	return due;
}

static List *
steps_of_table(const Migration *migration, Oid relation)
{
	List	   *leaves = table_leaves(relation);

	step_ensure(migration->id, STEP_AFTER_SWITCH, leaves);
	return step_list_of_tables(migration->id, STEP_AFTER_SWITCH, leaves);
}

/*
 * Changes the rows of the changes, which are of one table, until none is left.
 * Returns the number of rows; -1 if the release was switched meanwhile.
 */
static int64
change_table(const Migration *migration, List *changes)
{
	AfterSwitch *first = linitial(changes);
	Pass		pass = {
		.migration = migration,.changes = changes,.switched = first->switched
	};
	List	   *steps;
	ListCell   *lc;

	do
	{
		steps = steps_of_table(migration, first->relation);
		foreach(lc, steps)
		{
			run_pass(&pass, lfirst(lc));
			if (pass.turned)
				return -1;
		}
	} while (table_has_row_left(&pass, first->relation, steps));
	foreach(lc, changes)
		after_switch_note_none_left(lfirst(lc));
	return pass.changed;
}

static void
report_changed_table(const Migration *migration, const AfterSwitch *change,
					 int64 rows)
{
	char	   *what = psprintf(change->switched ? INT64_FORMAT " rows of table %s changed after the switch"
								: INT64_FORMAT " rows of table %s changed back",
								rows, quoting_relation(change->relation));

	ereport(NOTICE, (errmsg("%s", what)));
	migration_record(migration, "after switch", what, CLOCK_NEVER);
}

/* Is there more to be done later? */
static bool
more_will_be_due(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, after_switch_list(migration->id))
	{
		if (!((AfterSwitch *) lfirst(lc))->complete)
			return true;
	}
	return false;
}

bool
after_switch_run(Migration *migration)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem after switch",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *changes;
	bool		more;

	MemoryContextSwitchTo(context);
	step_forget_errors(migration->id, STEP_AFTER_SWITCH);
	while ((changes = next_due(migration)) != NIL)
	{
		int64		rows = change_table(migration, changes);

		if (rows >= 0)
			report_changed_table(migration, linitial(changes), rows);
		transaction_commit();
		MemoryContextSwitchTo(context);
	}
	more = more_will_be_due(migration);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return more;
}
