/*
 * quarantine_retry.c
 *		Tries quarantined rows again.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "catalog/unfinished.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/settings.h"
#include "fill/apply_grace.h"
#include "fill/batch.h"
#include "fill/quarantine_retry.h"
#include "fill/row_retry.h"
#include "row/quarantine.h"
#include "rule/fill_mark.h"
#include "rule/relation_rules.h"

/* the time is looked at after each such range, rows or none */
#define SCAN_BLOCKS 64

/* notes removed in one batch */
#define REMOVED_NOTES 10000

struct QuarantineRetry
{
	const Migration *migration;
	Oid			relation;
	const char *before;
	MemoryContext context;		/* of the retry */
	char	   *search_path;	/* of the session that created the sync */
	List	   *syncs;			/* RetriedSync */

	/* the scan */
	char	   *file;			/* that it is of; NULL before the first batch */
	BlockNumber next;
	BlockNumber end;
	bool		one_block;		/* the next batch is one block */
	bool		only_notes;		/* and writes no row */

	/* the removal */
	int			sync;			/* index of the sync whose notes are removed */
	int64		part;			/* next part of them */

	/* about the last batch */
	int64		rows;
	ItemPointerData row;		/* row being tried, or invalid */
};

/* One batch of the scan. */
typedef struct RetryBatch
{
	QuarantineRetry *retry;
	RowRetry	rows;
	TupleTableSlot *slot;
	int64		until;			/* clock_now() at which it ends */
	MemoryContext row;			/* reset for each row */
} RetryBatch;

QuarantineRetry *
quarantine_retry_begin(const Migration *migration, Oid relation,
					   const char *before)
{
	QuarantineRetry *retry = palloc0(sizeof(QuarantineRetry));

	retry->migration = migration;
	retry->relation = relation;
	retry->before = before;
	retry->context = CurrentMemoryContext;
	return retry;
}

/*-------------------------------------------------------------------------
 * The scan.
 *-------------------------------------------------------------------------
 */

static void
retry_scanned_row(RetryBatch *batch)
{
	QuarantineRetry *retry = batch->retry;

	retry->rows++;
	if (!row_retry_concerns(&batch->rows, batch->slot))
		return;
	retry->row = batch->slot->tts_tid;
	row_retry(&batch->rows, batch->slot);
}

static bool
retry_batch_must_end(const RetryBatch *batch)
{
	return clock_now() >= batch->until || batch_is_waited_for();
}

/*
 * Tries the rows of these blocks, until the batch must end.  Returns the next
 * block to be looked at.
 */
static BlockNumber
retry_blocks(RetryBatch *batch, BlockNumber first, BlockNumber last)
{
	TableScanDesc scan = table_rows_begin_scan(batch->rows.state->rel, first, last);
	MemoryContext caller = MemoryContextSwitchTo(batch->row);
	BlockNumber at = first;
	BlockNumber next = last + 1;

	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   batch->slot))
	{
		BlockNumber block = ItemPointerGetBlockNumber(&batch->slot->tts_tid);

		CHECK_FOR_INTERRUPTS();
		if (block != at && retry_batch_must_end(batch))
		{
			next = block;
			break;
		}
		at = block;
		retry_scanned_row(batch);
		MemoryContextReset(batch->row);
	}
	MemoryContextSwitchTo(caller);
	ExecClearTuple(batch->slot);
	table_endscan(scan);
	return next;
}

/* Starts the scan, again if the table has been rewritten. */
static void
begin_retry_scan(QuarantineRetry *retry, Relation rel, const RowState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(retry->context);

	retry->syncs = NIL;
	for (int i = 0; i < state->rules->nrules; i++)
	{
		const CompiledRule *rule = &state->rules->rules[i];
		RetriedSync *sync;

		if (strcmp(rule->source->migration, retry->migration->name) != 0 ||
			!rule->source->quarantine)
			continue;
		sync = palloc0(sizeof(RetriedSync));
		sync->id = rule->source->id;
		sync->shapes = quarantine_key_shapes(sync->id, retry->relation,
											 retry->before);
		retry->syncs = lappend(retry->syncs, sync);
	}
	retry->next = 0;
	/* rows beyond are of transactions that the snapshot does not show */
	retry->end = RelationGetNumberOfBlocks(rel);
	retry->file = fill_mark_file(rel);
	MemoryContextSwitchTo(caller);
}

static BlockNumber
retry_some_blocks(RetryBatch *batch)
{
	QuarantineRetry *retry = batch->retry;
	BlockNumber next = retry->next;

	while (next < retry->end)
	{
		next = retry_blocks(batch, next, retry->one_block ? next
							: Min(next + SCAN_BLOCKS, retry->end) - 1);
		if (retry->one_block || retry_batch_must_end(batch))
			break;
	}
	return next;
}

/* Only once nothing can fail any more. */
static void
end_retry_batch(RetryBatch *batch, BlockNumber next)
{
	QuarantineRetry *retry = batch->retry;
	ListCell   *lc;

	foreach(lc, retry->syncs)
		((RetriedSync *) lfirst(lc))->doubtful |=
		batch->rows.doubtful[foreach_current_index(lc)];
	retry->next = next;
	retry->one_block = retry->only_notes = false;
	ItemPointerSetInvalid(&retry->row);
}

static void
scan_retry_batch(QuarantineRetry *retry, RowState *state, int target_ms)
{
	RetryBatch	batch = {.retry = retry};
	BlockNumber next;

	batch.slot = table_slot_create(state->rel, NULL);
	row_retry_begin(&batch.rows, state, retry->migration->name, retry->syncs,
					retry->only_notes);
	batch.row = AllocSetContextCreate(CurrentMemoryContext, "tandem retry",
									  ALLOCSET_DEFAULT_SIZES);
	batch.until = clock_after_ms(target_ms);
	next = retry_some_blocks(&batch);
	row_retry_end(&batch.rows);
	ExecDropSingleTupleTableSlot(batch.slot);
	end_retry_batch(&batch, next);
}

/* Scans as the owner of the table, which has its trigger. */
static void
scan_retried_table(QuarantineRetry *retry, Relation rel, int target_ms)
{
	AuthorityScope scope;
	RowState   *state;

	table_rows_check_local(list_make1_oid(retry->relation));
	/* what an earlier batch has committed is seen */
	PushActiveSnapshot(GetLatestSnapshot());
	authority_enter_owner(&scope, rel, retry->search_path);
	state = row_state_create(rel, relation_sync_trigger(rel));
	if (retry->file == NULL || strcmp(retry->file, fill_mark_file(rel)) != 0)
		begin_retry_scan(retry, rel, state);
	scan_retry_batch(retry, state, target_ms);
	authority_leave(&scope);
	PopActiveSnapshot();
}

/*-------------------------------------------------------------------------
 * The notes that are left behind.
 *-------------------------------------------------------------------------
 */

/* Returns false if none are left. */
static bool
remove_some_notes(QuarantineRetry *retry)
{
	RetriedSync *sync;

	if (retry->sync >= list_length(retry->syncs))
		return false;
	sync = list_nth(retry->syncs, retry->sync);
	if (sync->parts == 0)
		sync->parts = quarantine_count_before(sync->id, retry->relation,
											  retry->before) / REMOVED_NOTES + 1;
	quarantine_remove(sync->id, retry->relation, retry->before, retry->part,
					  sync->parts, sync->doubtful);
	if (++retry->part >= sync->parts)
	{
		retry->part = 0;
		retry->sync++;
	}
	return retry->sync < list_length(retry->syncs);
}

/*
 * The table is gone, or was a partition and is no more: no row of the
 * migration is in it.
 */
static void
skip_retry_scan(QuarantineRetry *retry)
{
	MemoryContext caller = MemoryContextSwitchTo(retry->context);
	ListCell   *lc;

	foreach(lc, quarantine_syncs(retry->migration->id, retry->relation,
								 retry->before))
	{
		RetriedSync *sync = palloc0(sizeof(RetriedSync));

		sync->id = lfirst_int(lc);
		retry->syncs = lappend(retry->syncs, sync);
	}
	retry->file = pstrdup("");
	MemoryContextSwitchTo(caller);
}

/*-------------------------------------------------------------------------
 * The retry of one table.
 *-------------------------------------------------------------------------
 */

static char *
retried_search_path(QuarantineRetry *retry)
{
	MemoryContext caller = MemoryContextSwitchTo(retry->context);
	char	   *path = sync_path_of_leaf(retry->migration->id, retry->relation);

	MemoryContextSwitchTo(caller);
	return path;
}

/* Does a part of the scan.  Returns false if there is nothing to scan. */
static bool
scan_some_rows(QuarantineRetry *retry, int target_ms)
{
	Relation	rel = table_open_leaf(retry->relation, RowExclusiveLock);
	bool		scans = rel && relation_has_sync_trigger(rel);

	if (scans && retry->search_path == NULL)
		retry->search_path = retried_search_path(retry);
	if (scans)
	{
		scan_retried_table(retry, rel, target_ms);
		apply_grace_wait(rel);
	}
	/* one that has lost its trigger keeps its notes until it has one again */
	else if (rel == NULL || retried_search_path(retry) == NULL)
		skip_retry_scan(retry);
	if (rel)
		table_close(rel, NoLock);
	return scans;
}

bool
quarantine_retry_batch(QuarantineRetry *retry, int target_ms)
{
	retry->rows = 0;
	ItemPointerSetInvalid(&retry->row);
	/* before the table is locked, since that wait counts, too */
	if (setting_batch_lock_timeout > 0)
		settings_for_transaction("lock_timeout",
								 psprintf("%d", setting_batch_lock_timeout));
	/* a crash loses what was written and what was noted together */
	settings_for_transaction("synchronous_commit", "off");
	if (retry->file == NULL || retry->next < retry->end)
		return scan_some_rows(retry, target_ms) || retry->syncs != NIL;
	return remove_some_notes(retry);
}

bool
quarantine_retry_passes(QuarantineRetry *retry, ErrorData *error)
{
	retry->rows = 0;
	if (error_passes_with_others(error))
	{
		retry->only_notes = retry->one_block;
		retry->one_block = true;
		return true;
	}
	if (error_is_intervention(error))
		return false;
	if (ItemPointerIsValid(&retry->row))
		failed_row_name(error, "filling", retry->relation, &retry->row);
	if (error->hint == NULL)
		error->hint = unfinished_hint(retry->migration, retry->relation, error);
	return false;
}

int64
quarantine_retry_rows(const QuarantineRetry *retry)
{
	return retry->rows;
}

int64
quarantine_retry_blocks(const QuarantineRetry *retry, int64 *total)
{
	*total = retry->end;
	return retry->next;
}
