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
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/apply_grace.h"
#include "fill/batch.h"
#include "fill/direct_update.h"
#include "fill/pages.h"
#include "row/dual_write.h"
#include "row/round_trip.h"
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
failed_row_name(ErrorData *error, const char *doing, Oid relid,
				ItemPointer tid)
{
	FailedRow	row = {relid, tid, NULL};
	char	   *table = quoting_find_name(relid);

	/* if the key cannot be read, the row's ctid has to do */
	(void) subtransaction_try(read_failed_row_key, &row);
	if (row.key == NULL)
		row.key = psprintf("at (%u,%u)", ItemPointerGetBlockNumber(tid),
						   ItemPointerGetOffsetNumber(tid));
	error->context = psprintf("%s%s%s row %s of table \"%s\"",
							  error->context ? error->context : "",
							  error->context ? "\n" : "", doing, row.key,
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

struct TriedRows
{
	MemoryContext context;
	HTAB	   *rows;			/* NULL while there are none */
};

typedef struct TriedRow
{
	ItemPointerData tid;
	int			quarantined;	/* number of rules that put it there */
} TriedRow;

typedef struct Batch
{
	RowState   *state;
	const BatchOrder *order;
	DirectUpdate *update;
	TriedRows  *tried;
	TupleTableSlot *slot;		/* the current row */
	List	   *deferred;		/* TIDs for the UPDATE that fires triggers */
	PageRoom	room;
	BlockNumber block;			/* block of the current row */
	int64		rows;			/* rows of the block so far */
	int64		filled_before;	/* rows filled by the batch before the block */
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

Bitmapset *
batch_columns(RelationRules *rules)
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
begin_batch(Batch *batch, RowState *state, const BatchOrder *order,
			BatchResult *result)
{
	RelationRules *rules = state->rules;

	memset(batch, 0, sizeof(Batch));
	batch->state = state;
	batch->order = order;
	batch->tried = order->tried;
	batch->result = result;
	batch->slot = table_slot_create(state->rel, NULL);
	batch->update = direct_update_begin(state->rel,
										batch_columns(rules));
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

static bool
rule_is_of_step(const Batch *batch, const CompiledRule *rule)
{
	return strcmp(rule->source->migration, batch->order->migration) == 0;
}

/*
 * Returns a rule by which the row, which is about to be written, loses an old
 * value; NULL if there is none.  Only rules of the migration count that find
 * the row unfilled, or are in again, by index.
 */
static CompiledRule *
find_losing_rule(Batch *batch, const Bitmapset *again, NewSide new_side)
{
	RowState   *state = batch->state;
	CompiledRule *losing = NULL;

	batch->result->judging = true;
	for (int i = 0; i < state->rules->nrules && losing == NULL; i++)
	{
		CompiledRule *rule = &state->rules->rules[i];

		if (round_trip_is_known(rule) && rule_is_of_step(batch, rule) &&
			(row_is_unfilled(state, rule) || bms_is_member(i, again)) &&
			round_trip_loses(state, rule, new_side, batch->order->guarded))
			losing = rule;
	}
	batch->result->judging = false;
	return losing;
}

/* losing is NULL for a row that loses nothing. */
static void
count_losing_row(Batch *batch, const CompiledRule *losing)
{
	BatchResult *result = batch->result;
	Relation	rel = batch->state->rel;

	if (losing == NULL)
		return;
	result->rows_lossy++;
	if (list_length(result->lossy) < batch->order->sample)
		result->lossy = lappend(result->lossy,
								row_key_json(rel, batch->slot,
											 losing->source->old_columns));
}

/*
 * Stores the row as changed by the rules.  Returns false if it is locked.
 * losing is as for count_losing_row.
 */
static bool
write_batch_row(Batch *batch, const CompiledRule *losing)
{
	DirectUpdateResult result = direct_update_row(batch->update,
												  batch->slot,
												  batch->state->row);

	if (result == DIRECT_UPDATED)
	{
		batch->result->rows_filled++;
		count_losing_row(batch, losing);
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
	CompiledRule *losing = find_losing_rule(batch, NULL, NEW_SIDE_STORED);
	ItemPointer tid;

	switch (direct_update_lock(batch->update, &batch->slot->tts_tid))
	{
		case DIRECT_UPDATED:
			tid = palloc(sizeof(ItemPointerData));
			*tid = batch->slot->tts_tid;
			batch->deferred = lappend(batch->deferred, tid);
			count_losing_row(batch, losing);
			break;
		case DIRECT_LOCKED:
			batch->locked = true;
			break;
		case DIRECT_GONE:
			break;
	}
}

TriedRows *
tried_rows_create(void)
{
	TriedRows  *tried = palloc0(sizeof(TriedRows));

	tried->context = CurrentMemoryContext;
	return tried;
}

void
tried_rows_forget(TriedRows *tried)
{
	if (tried->rows)
		hash_destroy(tried->rows);
	tried->rows = NULL;
}

/*
 * Returns the number of rules for which an earlier visit has put the row into
 * quarantine.  A row that a writer stored there since has been filled by it.
 */
static int
row_tried_before(const Batch *batch)
{
	TriedRow   *row = NULL;

	if (batch->tried->rows)
		row = hash_search(batch->tried->rows, &batch->slot->tts_tid, HASH_FIND,
						  NULL);
	return row ? row->quarantined : 0;
}

static void
remember_tried_row(Batch *batch, int quarantined)
{
	HASHCTL		control = {
		.keysize = sizeof(ItemPointerData),.entrysize = sizeof(TriedRow),
		.hcxt = batch->tried->context
	};
	TriedRow   *row;

	if (batch->tried->rows == NULL)
		batch->tried->rows = hash_create("tandem tried rows", 256, &control,
										 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	row = hash_search(batch->tried->rows, &batch->slot->tts_tid, HASH_ENTER,
					  NULL);
	row->quarantined = quarantined;
}

static void
load_batch_row(Batch *batch)
{
	row_state_load(batch->state, batch->slot, batch->slot,
				   stored_columns(batch->slot));
	if (!batch->update->sent)
		fill_check_repeatable(batch->state, 0);
}

/*
 * A derived column may have a value of its own, so it is computed again only if
 * it was named.  Where up fails in quarantine, a value that is there may be the
 * one that has corrected the row.
 */
static bool
derived_column_may_refill(Batch *batch, CompiledRule *rule)
{
	return !rule_is_derived(rule->source) ||
		(list_member_int(batch->order->refill_derived, rule->source->id) &&
		 !(rule->source->quarantine && dual_write_raises(batch->state, rule)));
}

/*
 * What a writer of the new release has given agrees with down, if there is
 * one.  So a row that agrees neither way has what a former up has given, or
 * another value that no rule explains.  What a volatile up gives cannot be
 * compared.
 */
static bool
rule_is_to_be_refilled(Batch *batch, CompiledRule *rule)
{
	RowState   *state = batch->state;
	bool		guarded = batch->order->guarded;

	return rule_is_of_step(batch, rule) && rule_has_new_side(rule->source) &&
		!rule->new_side.is_volatile &&
		!row_is_unfilled(state, rule) &&
		derived_column_may_refill(batch, rule) &&
		!round_trip_side_holds(state, rule, &rule->old_side, guarded) &&
		!round_trip_side_holds(state, rule, &rule->new_side, guarded);
}

/* Returns the indexes of the rules that are to be computed again for the row. */
static Bitmapset *
rules_to_refill(Batch *batch)
{
	RowState   *state = batch->state;
	Bitmapset  *again = NULL;

	if (!batch->order->refill)
		return NULL;
	load_batch_row(batch);
	batch->result->judging = true;
	for (int i = 0; i < state->rules->nrules; i++)
	{
		if (rule_is_to_be_refilled(batch, &state->rules->rules[i]))
			again = bms_add_member(again, i);
	}
	batch->result->judging = false;
	return again;
}

/*
 * Computes the row and stores it.  Rules in again are computed although the row
 * is filled.
 */
static void
compute_batch_row(Batch *batch, const Bitmapset *again)
{
	RowState   *state = batch->state;
	int			quarantined = 0;
	int			rule = -1;

	if (again == NULL)
		quarantined = dual_write_fill(state, 0);
	while ((rule = bms_next_member(again, rule)) >= 0)
		quarantined += dual_write_fill(state, state->rules->rules[rule].source->id);
	if (state->first_replaced == InvalidAttrNumber)
	{
		batch->quarantined += quarantined;
		if (quarantined > 0)
			remember_tried_row(batch, quarantined);
	}
	else if (write_batch_row(batch,
							 find_losing_rule(batch, again,
											  quarantined == 0 ? NEW_SIDE_COMPUTED
											  : NEW_SIDE_STORED)))
		batch->result->rows_quarantined += quarantined;
	else
		batch->locked = true;
}

/*
 * Fills the current row unless it is filled, or its page has no room for it.
 */
static void
fill_batch_row(Batch *batch)
{
	Bitmapset  *again;
	int			quarantined;

	batch->rows++;
	batch->result->row = batch->slot->tts_tid;

	/*
	 * once a row of the page has to wait, leave the rest to the next visit,
	 * too
	 */
	if (batch->crowded)
		return;
	again = rules_to_refill(batch);
	if (again == NULL &&
		!row_needs_fill(batch->state, batch->slot, stored_columns(batch->slot)))
		return;
	quarantined = row_tried_before(batch);
	if (quarantined > 0)
	{
		batch->quarantined += quarantined;
		return;
	}
	if (!setting_fire_triggers &&
		!page_room_allows(&batch->room, batch->slot))
	{
		batch->crowded = true;
		return;
	}
	load_batch_row(batch);
	/* the trigger would not change a row that is filled */
	if (setting_fire_triggers && again == NULL)
		defer_batch_row(batch);
	else
		compute_batch_row(batch, again);
	bms_free(again);
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

void
batch_record_error(const ErrorData *error, int step_id)
{
	step_set_error(step_id,
				   psprintf("%s%s%s", error->message,
							error->context ? " -- " : "",
							error->context ? error->context : ""),
				   error->hint);
}

char *
batch_rows_locked_by(TransactionId holder)
{
	return psprintf("rows locked by %s",
					TransactionIdIsValid(holder) ? lock_transaction_mark(holder)
					: "other sessions");
}

void
batch_apply_settings(void)
{
	/* set before the table is locked, since that wait counts, too */
	if (setting_batch_lock_timeout > 0)
		settings_for_transaction("lock_timeout",
								 psprintf("%d", setting_batch_lock_timeout));

	/*
	 * after a crash both rows and progress are lost, and the blocks done
	 * again
	 */
	settings_for_transaction("synchronous_commit", "off");
}

bool
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

static void
visit_again(BatchResult *result, BlockNumber block, double filled)
{
	result->again = lappend_oid(result->again, block);
	result->again_filled = lappend_int(result->again_filled,
									   (int) (filled * 1000));
}

/*
 * Keeps the blocks in between on the list.  Their rows are counted on another
 * visit, except those that moved to other blocks.
 */
static void
keep_blocks_between(Batch *batch, BlockNumber end)
{
	for (BlockNumber block = batch->between.first; block < end; block++)
		visit_again(batch->result, block, 1);
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
		visit_again(result, batch->block,
					(double) (result->rows_filled - batch->filled_before) / Max(batch->rows, 1));
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
	batch->filled_before = result->rows_filled;
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
batch_fill(RowState *state, const BatchOrder *order, const Blocks *blocks,
		   BatchResult *result)
{
	Batch		batch;

	begin_batch(&batch, state, order, result);
	scan_batch_blocks(&batch, blocks);
	ItemPointerSetInvalid(&result->row);
	end_batch(&batch);
	if (batch.deferred != NIL)
		update_deferred_rows(&batch);
	if (result->rows_filled > 0)
		apply_grace_wait(state->rel);
}
