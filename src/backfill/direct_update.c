/*
 * direct_update.c
 *		Updates rows without a statement.
 *
 * The model is the server's ExecSimpleRelationUpdate, the update of logical
 * replication's apply.  Of the triggers of the table only the server's own are
 * kept: those of foreign keys and of deferred unique constraints.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "storage/bufmgr.h"
#include "utils/snapmgr.h"

#include "backfill/direct_update.h"
#include "backfill/fill_origin.h"
#include "catalog/subscription.h"
#include "core/compat.h"

/* The server's own AFTER ROW UPDATE triggers; NULL: there are none. */
static TriggerDesc *
internal_triggers(TriggerDesc *all)
{
	TriggerDesc *kept;

	if (all == NULL)
		return NULL;
	kept = palloc0(sizeof(TriggerDesc));
	kept->triggers = palloc(sizeof(Trigger) * all->numtriggers);
	for (int i = 0; i < all->numtriggers; i++)
	{
		Trigger    *trigger = &all->triggers[i];

		if (trigger->tgisinternal &&
			TRIGGER_FOR_ROW(trigger->tgtype) &&
			TRIGGER_FOR_AFTER(trigger->tgtype) &&
			TRIGGER_FOR_UPDATE(trigger->tgtype))
			kept->triggers[kept->numtriggers++] = *trigger;
	}
	kept->trig_update_after_row = true;
	return kept->numtriggers > 0 ? kept : NULL;
}

static Bitmapset *
offset_columns(Bitmapset *columns)
{
	Bitmapset  *offset = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
		offset = bms_add_member(offset,
								i - FirstLowInvalidHeapAttributeNumber);
	return offset;
}

/*
 * In a security-restricted operation the server refuses to defer a constraint.
 * Nothing of a batch comes after its updates, so their end is as good.
 */
static void
check_constraints_now(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	all->deferred = false;
	AfterTriggerSetState(all);
}

DirectUpdate *
direct_update_begin(Relation rel, Bitmapset *columns)
{
	DirectUpdate *update = palloc0(sizeof(DirectUpdate));

	CheckCmdReplicaIdentity(rel, CMD_UPDATE);
	subscription_check_key(rel);
	update->rel = rel;
	update->sent = fill_is_sent(RelationGetRelid(rel));
	update->estate = CreateExecutorState();
	update->estate->es_snapshot = GetActiveSnapshot();
	update->estate->es_output_cid = GetCurrentCommandId(true);
	compat_init_range_table(update->estate, rel, offset_columns(columns));
	update->target = makeNode(ResultRelInfo);
	InitResultRelInfo(update->target, rel, 1, NULL, 0);
	update->target->ri_TrigDesc = internal_triggers(update->target->ri_TrigDesc);
	ExecOpenIndices(update->target, false);
	/* where the server looks for it when it fires the triggers */
	update->estate->es_opened_result_relations = list_make1(update->target);
	check_constraints_now();
	update->locked = table_slot_create(rel, NULL);
	AfterTriggerBeginQuery();
	return update;
}

DirectUpdateResult
direct_update_lock(DirectUpdate *update, ItemPointer tid)
{
	TM_FailureData failure;
	ItemPointerData self = *tid;
	TM_Result	result = table_tuple_lock(update->rel, &self,
										  update->estate->es_snapshot,
										  update->locked,
										  update->estate->es_output_cid,
										  ExecUpdateLockMode(update->estate,
															 update->target),
										  LockWaitSkip, 0, &failure);

	ExecClearTuple(update->locked);
	switch (result)
	{
		case TM_Ok:
			return DIRECT_UPDATED;
		case TM_WouldBlock:
		case TM_BeingModified:
			update->holder = failure.xmax;
			return DIRECT_LOCKED;
		default:
			return DIRECT_GONE;
	}
}

/*
 * Whether nobody has updated or locked the row since the slot was filled, by a
 * look at the stored row itself, which the slot keeps where it is.  A row of
 * another access method is not looked at.
 */
static bool
looks_free(TupleTableSlot *stored)
{
	HeapTuple	tuple;

	if (!TTS_IS_BUFFERTUPLE(stored) ||
		!BufferIsValid(((BufferHeapTupleTableSlot *) stored)->buffer))
		return false;
	tuple = ((BufferHeapTupleTableSlot *) stored)->base.tuple;
	return (*(volatile uint16 *) &tuple->t_data->t_infomask &
			HEAP_XMAX_INVALID) != 0;
}

static bool
update_tuple(DirectUpdate *update, ItemPointer tid, TupleTableSlot *slot,
			 CompatUpdateIndexes *update_indexes)
{
	return compat_update_tuple(update->rel, tid, slot,
							   update->estate->es_output_cid,
							   update->estate->es_snapshot, update_indexes);
}

/* A row that is not sent: the mark is on this change alone. */
static bool
update_unsent(DirectUpdate *update, ItemPointer tid, TupleTableSlot *slot,
			  CompatUpdateIndexes *update_indexes)
{
	volatile bool done = false;
	uint16		origin = fill_origin_enter();

	PG_TRY();
	{
		done = update_tuple(update, tid, slot, update_indexes);
	}
	PG_FINALLY();
	{
		fill_origin_leave(origin);
	}
	PG_END_TRY();
	return done;
}

/*
 * Updates the row if nobody is at work on it: a row that does not look free is
 * locked first, which can be done without waiting.  To lock each row would
 * write one more record of WAL for each.  Whoever takes the row in the instant between
 * the look and the update is waited for, like those whom an index or a foreign
 * key makes the batch wait for: at most tandem.batch_lock_timeout.  (The table
 * access method has a form of update that does not wait, which heap does not
 * support: it takes a lock that does not conflict for one that does, and a
 * server with assertions ends there.)
 */
static DirectUpdateResult
update_or_skip(DirectUpdate *update, TupleTableSlot *stored,
			   TupleTableSlot *slot, CompatUpdateIndexes *update_indexes)
{
	ItemPointerData tid = stored->tts_tid;
	bool		done;

	if (!looks_free(stored))
	{
		DirectUpdateResult locked = direct_update_lock(update, &tid);

		if (locked != DIRECT_UPDATED)
			return locked;
	}
	done = update->sent ? update_tuple(update, &tid, slot, update_indexes)
		: update_unsent(update, &tid, slot, update_indexes);
	return done ? DIRECT_UPDATED : DIRECT_GONE;
}

DirectUpdateResult
direct_update_row(DirectUpdate *update, TupleTableSlot *stored,
				  TupleTableSlot *slot)
{
	TupleConstr *constraints = RelationGetDescr(update->rel)->constr;
	bool		constrained = constraints != NULL;
	CompatUpdateIndexes update_indexes;
	DirectUpdateResult result;
	ItemPointerData self = stored->tts_tid;
	List	   *recheck = NIL;

	slot->tts_tableOid = RelationGetRelid(update->rel);
	if (constraints && constraints->has_generated_stored)
		ExecComputeStoredGenerated(update->target, update->estate, slot,
								   CMD_UPDATE);
	if (constrained)
		ExecConstraints(update->target, slot, update->estate);
	if (update->rel->rd_rel->relispartition)
		ExecPartitionCheck(update->target, slot, update->estate, true);
	result = update_or_skip(update, stored, slot, &update_indexes);
	if (result == DIRECT_UPDATED)
	{
		update->indexed += compat_needs_indexes(update_indexes);
		if (update->target->ri_NumIndices > 0 &&
			compat_needs_indexes(update_indexes))
			recheck = compat_insert_index_tuples(update->target, slot,
												 update->estate,
												 update_indexes);
		if (update->target->ri_TrigDesc)
			ExecARUpdateTriggers(update->estate, update->target, NULL, NULL,
								 &self, NULL, slot, recheck, NULL, false);
	}
	ResetPerTupleExprContext(update->estate);
	return result;
}

void
direct_update_end(DirectUpdate *update)
{
	AfterTriggerEndQuery(update->estate);
	ExecDropSingleTupleTableSlot(update->locked);
	ExecCloseResultRelations(update->estate);
	ExecResetTupleTable(update->estate->es_tupleTable, false);
	ExecCloseRangeTableRelations(update->estate);
	FreeExecutorState(update->estate);
}
