/*
 * batch.c
 *		Fills the rows of a range of blocks in one transaction.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/batch.h"
#include "fill/direct_update.h"
#include "fill/pages.h"
#include "row/dual_write.h"
#include "row/row_tuple.h"
#include "rule/relation_rules.h"
#include "rule/rule_args.h"

/*-------------------------------------------------------------------------
 * Describing the row at which a batch failed.
 *-------------------------------------------------------------------------
 */

typedef struct FailedRow
{
	Oid			relid;
	ItemPointer tid;
	char	   *key;			/* NULL if the row or its table is gone */
} FailedRow;

/*
 * Returns old columns of the rules, which name a row without primary key.  NIL
 * if there are only derived columns.
 */
static List *
old_rule_columns(Relation rel)
{
	Trigger    *trigger = relation_sync_trigger(rel);
	List	   *names = NIL;
	ListCell   *lc;

	if (trigger == NULL)
		return NIL;
	foreach(lc, rule_args_decode(trigger))
	{
		if (names == NIL)
			names = ((SyncRule *) lfirst(lc))->old_columns;
	}
	return names;
}

static void
read_failed_row_key(void *arg)
{
	FailedRow  *row = arg;
	Relation	rel = try_table_open(row->relid, AccessShareLock);
	AuthorityScope scope;
	TupleTableSlot *slot;
	List	   *columns;

	if (rel == NULL)
		return;
	PushActiveSnapshot(GetLatestSnapshot());
	authority_enter_owner(&scope, rel, NULL);
	slot = table_slot_create(rel, NULL);
	columns = row_key_columns(rel, old_rule_columns(rel));
	if (columns != NIL &&
		table_tuple_fetch_row_version(rel, row->tid, GetActiveSnapshot(), slot))
		row->key = row_key_text(rel, slot, columns);
	ExecDropSingleTupleTableSlot(slot);
	authority_leave(&scope);
	PopActiveSnapshot();
	table_close(rel, NoLock);
}

void
failed_row_name(ErrorData *error, Oid relid, ItemPointer tid)
{
	FailedRow	row = {relid, tid, NULL};
	char	   *table = quoting_find_name(relid);

	/* if the key cannot be read, the row's ctid has to do */
	(void) subtransaction_try(read_failed_row_key, &row);
	if (row.key == NULL)
		row.key = psprintf("at (%u,%u)", ItemPointerGetBlockNumber(tid),
						   ItemPointerGetOffsetNumber(tid));
	error->context = psprintf("%s%sfilling row %s of table \"%s\"",
							  error->context ? error->context : "",
							  error->context ? "\n" : "", row.key,
							  table ? table : "(dropped)");
}

/*-------------------------------------------------------------------------
 * One batch of a backfill: fills the rows of some blocks.
 *
 * A row locked by another session is skipped, and its block reported to the
 * caller.  So a batch does not wait for writers and cannot deadlock with them.
 * A row that was updated meanwhile needs nothing: the trigger has filled it.
 *-------------------------------------------------------------------------
 */

/*
 * If at most this many finished blocks lie between two unfinished ones, they
 * stay on the step's list: visiting them again is cheaper than keeping a list
 * of many ranges.
 */
#define MOST_BETWEEN 8

/*
 * Finished blocks after an unfinished one.  It is not yet decided whether they
 * stay on the list.
 */
typedef struct Between
{
	BlockNumber first;			/* or InvalidBlockNumber if there are none */
	int64		rows;			/* counted if the blocks leave the list */
	int64		moved;			/* of these, moved to other blocks; always
								 * counted */
	int64		quarantined;
} Between;

typedef struct Batch
{
	RowState   *state;
	DirectUpdate *update;
	TupleTableSlot *slot;		/* the current row */
	List	   *deferred;		/* TIDs for the UPDATE that fires triggers */
	PageRoom	room;
	BlockNumber block;			/* block of the current row */
	int64		rows;			/* rows of the block so far */
	int64		moved;			/* of these, moved to other blocks */
	int64		quarantined;	/* of these, in quarantine and not rewritten;
								 * found again on each visit */
	bool		locked;			/* does the block have a locked row? */
	bool		crowded;
	Between		between;
	BatchResult *result;
} Batch;

int
stored_columns(TupleTableSlot *slot)
{
	if (TTS_IS_BUFFERTUPLE(slot) || TTS_IS_HEAPTUPLE(slot))
		return HeapTupleHeaderGetNatts(((HeapTupleTableSlot *) slot)->tuple->t_data);
	return slot->tts_tupleDescriptor->natts;
}

/* Returns the attribute numbers of the columns that a fill may write. */
static Bitmapset *
columns_fill_may_write(RelationRules *rules)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < rules->ncolumns; i++)
		columns = bms_add_member(columns, rules->columns[i].attnum);
	return columns;
}

/* Returns the attribute numbers of the columns that a fill computes. */
static Bitmapset *
columns_fill_changes(RelationRules *rules)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < rules->nrules; i++)
	{
		RuleSide   *side = &rules->rules[i].new_side;

		for (int j = 0; j < side->ncolumns; j++)
			columns = bms_add_member(columns,
									 rules->columns[side->columns[j]].attnum);
	}
	return columns;
}

static void
begin_batch(Batch *batch, RowState *state, BatchResult *result)
{
	RelationRules *rules = state->rules;

	memset(batch, 0, sizeof(Batch));
	batch->state = state;
	batch->result = result;
	batch->slot = table_slot_create(state->rel, NULL);
	batch->update = direct_update_begin(state->rel,
										columns_fill_may_write(rules));
	batch->block = batch->between.first = InvalidBlockNumber;
	page_room_init(&batch->room, state->rel, columns_fill_changes(rules));
}

static void
end_batch(Batch *batch)
{
	batch->result->holder = batch->update->holder;
	batch->result->rows_indexed = batch->update->indexed;
	direct_update_end(batch->update);
	ExecDropSingleTupleTableSlot(batch->slot);
}

/* Stores the row as changed by the rules.  Returns false if it is locked. */
static bool
write_batch_row(Batch *batch)
{
	DirectUpdateResult result = direct_update_row(batch->update,
												  batch->slot,
												  batch->state->row);

	if (result == DIRECT_UPDATED)
	{
		batch->result->rows_filled++;
		batch->moved +=
			page_room_written(&batch->room, batch->slot,
							  &batch->state->row->tts_tid);
	}
	return result != DIRECT_LOCKED;
}

/*
 * With tandem.fire_triggers, lock the row now; one statement at the end of the
 * batch updates all such rows.
 */
static void
defer_batch_row(Batch *batch)
{
	ItemPointer tid;

	switch (direct_update_lock(batch->update, &batch->slot->tts_tid))
	{
		case DIRECT_UPDATED:
			tid = palloc(sizeof(ItemPointerData));
			*tid = batch->slot->tts_tid;
			batch->deferred = lappend(batch->deferred, tid);
			break;
		case DIRECT_LOCKED:
			batch->locked = true;
			break;
		case DIRECT_GONE:
			break;
	}
}

/*
 * Loads the row to be filled.  Rule forced is computed even if it is filled.
 */
static void
load_batch_row(Batch *batch, int forced)
{
	row_state_load(batch->state, batch->slot, batch->slot,
				   stored_columns(batch->slot));
	if (!batch->update->sent)
		fill_check_repeatable(batch->state, forced);
}

/*
 * Fills the current row unless it is filled, or its page has no room for it.
 */
static void
fill_batch_row(Batch *batch)
{
	RowState   *state = batch->state;
	int			quarantined;

	batch->rows++;
	batch->result->row = batch->slot->tts_tid;

	/*
	 * once a row of the page has to wait, leave the rest to the next visit,
	 * too
	 */
	if (batch->crowded ||
		!row_needs_fill(state, batch->slot, stored_columns(batch->slot)))
		return;
	if (!setting_fire_triggers &&
		!page_room_allows(&batch->room, batch->slot))
	{
		batch->crowded = true;
		return;
	}
	load_batch_row(batch, 0);
	if (setting_fire_triggers)
	{
		defer_batch_row(batch);
		return;
	}
	quarantined = dual_write_fill(state, 0);
	if (state->first_replaced == InvalidAttrNumber)
		batch->quarantined += quarantined;
	else if (write_batch_row(batch))
		batch->result->rows_quarantined += quarantined;
	else
		batch->locked = true;
}

/*
 * Runs a statement with one parameter.  If the fill is not sent, neither is
 * what the triggers write.
 */
static int
run_batch_update(Batch *batch, const char *sql, Oid *types, Datum *values)
{
	volatile int result = 0;
	uint16		origin;

	if (batch->update->sent)
		return SPI_execute_with_args(sql, 1, types, values, NULL, false, 0);
	origin = fill_origin_enter();
	PG_TRY();
	{
		result = SPI_execute_with_args(sql, 1, types, values, NULL, false, 0);
	}
	PG_FINALLY();
	{
		fill_origin_leave(origin);
	}
	PG_END_TRY();
	return result;
}

/*
 * Updates the deferred rows without changing a value.  The sync trigger fills
 * them, and the table's own triggers are fired.
 */
static void
update_deferred_rows(Batch *batch)
{
	Oid			types[1] = {get_array_type(TIDOID)};
	Datum	   *tids = palloc(sizeof(Datum) * list_length(batch->deferred));
	Datum		values[1];
	int			count = 0;
	RuleColumn *column = &batch->state->rules->columns[batch->state->rules->rules[0].new_side.columns[0]];
	const char *name = quote_identifier(NameStr(column->att->attname));
	ListCell   *lc;

	foreach(lc, batch->deferred)
		tids[count++] = PointerGetDatum(lfirst(lc));
	values[0] = PointerGetDatum(construct_array(tids, count, TIDOID,
												sizeof(ItemPointerData),
												false, TYPALIGN_SHORT));
	query_ours_begin();
	SPI_connect();
	if (run_batch_update(batch,
						 psprintf("UPDATE ONLY %s SET %s = %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)",
								  quoting_relation(RelationGetRelid(batch->state->rel)),
								  name, name),
						 types, values) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("update of table \"%s\" failed",
						RelationGetRelationName(batch->state->rel))));
	if (SPI_processed < (uint64) count)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("only " UINT64_FORMAT " of %d rows of table \"%s\" could be updated",
						SPI_processed, count,
						RelationGetRelationName(batch->state->rel)),
				 errdetail("A trigger of the table or its row-level security hides the others."),
				 errhint("Set tandem.fire_triggers to off, then call tandem.migrate again.")));
	batch->result->rows_filled += SPI_processed;
	/* an upper limit: a statement does not report this */
	batch->result->rows_indexed += SPI_processed;
	SPI_finish();
	query_ours_end();
}

/*
 * Is a session waiting for this transaction, that is for a row that it wrote?
 */
static bool
batch_is_waited_for(void)
{
	TransactionId xid = GetCurrentTransactionIdIfAny();
	LOCKTAG		tag;

	if (!TransactionIdIsValid(xid))
		return false;
	SET_LOCKTAG_TRANSACTION(tag, xid);
	return LockHasWaiters(&tag, ExclusiveLock, false);
}

/*
 * Takes the blocks in between off the list and counts their rows.  first is
 * the first block of the next such group.
 */
static void
settle_blocks_between(Batch *batch, BlockNumber first)
{
	batch->result->rows_done += batch->between.rows;
	batch->result->rows_quarantined += batch->between.quarantined;
	batch->between = (Between)
	{
		.first = first
	};
}

/*
 * Keeps the blocks in between on the list.  Their rows are counted on another
 * visit, except those that moved to other blocks.
 */
static void
keep_blocks_between(Batch *batch, BlockNumber end)
{
	for (BlockNumber block = batch->between.first; block < end; block++)
		batch->result->again = lappend_oid(batch->result->again, block);
	batch->between.rows = batch->between.moved;
	batch->between.quarantined = 0;
}

/*
 * Called when the scan leaves a block: decides whether it stays on the list,
 * and counts its rows.
 */
static void
leave_batch_block(Batch *batch)
{
	BatchResult *result = batch->result;
	Between    *between = &batch->between;
	bool		close = between->first != InvalidBlockNumber &&
	batch->block - between->first <= MOST_BETWEEN;

	if (batch->locked || batch->crowded)
	{
		if (close)
			keep_blocks_between(batch, batch->block);
		result->again = lappend_oid(result->again, batch->block);
		/* rows that have left the block can be counted only now */
		between->rows += batch->moved;
		settle_blocks_between(batch, batch->block + 1);
	}
	else
	{
		between->rows += batch->rows;
		between->moved += batch->moved;

		/*
		 * counted once the block is off the list, since each visit tries them
		 * again
		 */
		between->quarantined += batch->quarantined;
		if (!close)
			settle_blocks_between(batch, InvalidBlockNumber);
	}
	result->locked += batch->locked;
	result->crowded += batch->crowded;
	batch->rows = batch->moved = batch->quarantined = 0;
	batch->locked = batch->crowded = false;
}

/*
 * Called at the first row of a block.  Returns false if the scan must end
 * before this block.
 */
static bool
enter_batch_block(Batch *batch, BlockNumber block)
{
	BatchResult *result = batch->result;

	if (batch->block != InvalidBlockNumber)
	{
		leave_batch_block(batch);
		/* the blocks in between have no rows */
		result->last = block - 1;
		result->waited_for = batch_is_waited_for();
	}
	batch->block = block;
	page_room_enter(&batch->room, batch->slot);
	return !result->waited_for;
}

static void
leave_batch_range(Batch *batch, const BlockRange *range)
{
	if (batch->block != InvalidBlockNumber)
		leave_batch_block(batch);
	batch->block = InvalidBlockNumber;
	batch->result->last = range->last;
}

/*
 * Ends early, after a whole block, if a session waits for a row of the batch.
 */
static void
scan_batch_range(Batch *batch, const BlockRange *range)
{
	TableScanDesc scan = table_rows_begin_scan(batch->state->rel,
											   range->first, range->last);

	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   batch->slot))
	{
		BlockNumber block = ItemPointerGetBlockNumber(&batch->slot->tts_tid);

		CHECK_FOR_INTERRUPTS();
		if (block != batch->block && !enter_batch_block(batch, block))
			break;
		fill_batch_row(batch);
	}
	ExecClearTuple(batch->slot);
	table_endscan(scan);
	if (!batch->result->waited_for)
		leave_batch_range(batch, range);
	/* blocks between two ranges are not on the list */
	settle_blocks_between(batch, InvalidBlockNumber);
}

static void
scan_batch_blocks(Batch *batch, const Blocks *blocks)
{
	BatchResult *result = batch->result;

	for (int i = 0; i < blocks->nranges && !result->waited_for; i++)
	{
		scan_batch_range(batch, &blocks->ranges[i]);
		if (i + 1 < blocks->nranges)
			result->waited_for |= batch_is_waited_for();
	}
}

void
batch_fill(RowState *state, const Blocks *blocks, BatchResult *result)
{
	Batch		batch;

	begin_batch(&batch, state, result);
	scan_batch_blocks(&batch, blocks);
	ItemPointerSetInvalid(&result->row);
	end_batch(&batch);
	if (batch.deferred != NIL)
		update_deferred_rows(&batch);
}

static CompiledRule *
find_compiled_rule(RelationRules *rules, int id)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		if (rules->rules[i].source->id == id)
			return &rules->rules[i];
	}
	return NULL;
}

static bool
side_is_null(RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		AttrNumber	attnum = state->rules->columns[side->columns[i]].attnum;

		if (!state->row->tts_isnull[attnum - 1])
			return false;
	}
	return true;
}

static RetryResult
retry_row_of_batch(Batch *batch, CompiledRule *rule, bool up)
{
	RowState   *state = batch->state;
	bool		computed;

	load_batch_row(batch, up ? rule->source->id : 0);
	if (!side_is_null(state, up ? &rule->new_side : &rule->old_side))
		return RETRY_RIGHT;
	computed = up ? dual_write_fill(state, rule->source->id) == 0
		: dual_write_backward(state, rule);
	if (!computed)
		return RETRY_RAISES;
	return !state->first_replaced ||
		write_batch_row(batch) ? RETRY_RIGHT : RETRY_LOCKED;
}

RetryResult
batch_retry_row(RowState *state, ItemPointer tid, int rule_id, bool up)
{
	Batch		batch;
	BatchResult counts = {0};
	CompiledRule *rule = find_compiled_rule(state->rules, rule_id);
	RetryResult result = RETRY_RIGHT;

	begin_batch(&batch, state, &counts);
	if (rule && table_tuple_fetch_row_version(state->rel, tid,
											  GetActiveSnapshot(), batch.slot))
		result = retry_row_of_batch(&batch, rule, up);
	ExecClearTuple(batch.slot);
	end_batch(&batch);
	return result;
}
