/*
 * direct_update.c
 *		Updates rows without a statement, and decides which subscribers see
 *		that.
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
#include "replication/origin.h"
#include "storage/bufmgr.h"
#include "utils/snapmgr.h"

#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/settings.h"
#include "fill/direct_update.h"

/*-------------------------------------------------------------------------
 * Which subscribers a fill is sent to.
 *
 * A fill writes whole rows.  If it were sent to a server where the same table
 * is written, it could overwrite what a writer has committed there meanwhile;
 * and that server fills its own rows.  So each change is marked in the WAL
 * with the origin that the server reserves for changes that are not replicated
 * (DoNotReplicateId).  Subscriptions with origin = none do not get it, others
 * do.  This needs no replication origin in the catalogs, no slot and no
 * privilege.  The commit record is not marked, so other writes of the
 * transaction are sent.
 *-------------------------------------------------------------------------
 */

bool
fill_is_sent(Oid relid)
{
	switch (setting_send_fill)
	{
		case SEND_FILL_ON:
			return true;
		case SEND_FILL_OFF:
			return false;
	}
	return !subscription_of(relid).local_only;
}

uint16
fill_origin_enter(void)
{
	uint16		before = compat_session_origin();

	/*
	 * a session with an origin of its own writes nothing that counts as local
	 */
	if (before == 0)
		compat_set_session_origin(DoNotReplicateId);
	return before;
}

void
fill_origin_leave(uint16 before)
{
	compat_set_session_origin(before);
}

void
fill_refuse_volatile(Relation rel, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("up of column \"%s\" of table \"%s\" is volatile: each server would fill it with another value",
					column, RelationGetRelationName(rel)),
			 errdetail("The table has a subscription with origin = none, or tandem.send_fill is off: so its fill is not sent, and each server fills its own rows."),
			 errhint("Declare the function STABLE if its result depends on its arguments and on tables only. Otherwise have one server fill and send: SET tandem.send_fill = on; before sync_column, tandem.configure(..., 'tandem.send_fill', 'on') before migrate, which is then called on one server after the other.")));
}

void
fill_check_repeatable(const RowState *state, int forced)
{
	RelationRules *rules = state->rules;

	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];
		RuleSide   *side = &rule->new_side;

		if (side->is_volatile && (rule->source->id == forced ||
								  row_is_unfilled(state, rule)))
			fill_refuse_volatile(state->rel,
								 NameStr(rules->columns[side->columns[0]].att->attname));
	}
}

/*-------------------------------------------------------------------------
 * Updating rows without a statement.
 *
 * This follows the server's ExecSimpleRelationUpdate, which logical
 * replication uses to apply an UPDATE.  Of the table's triggers only internal
 * ones are fired: those of foreign keys and of deferrable unique constraints.
 *-------------------------------------------------------------------------
 */

/*
 * Returns the internal AFTER ROW UPDATE triggers, or NULL if there are none.
 */
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
offset_column_numbers(Bitmapset *columns)
{
	Bitmapset  *offset = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
		offset = bms_add_member(offset,
								i - FirstLowInvalidHeapAttributeNumber);
	return offset;
}

/*
 * The server does not queue deferred triggers in a security-restricted
 * operation.  Since nothing follows the updates of a batch, checking the
 * constraints at their end is equivalent.
 */
static void
check_constraints_now(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	all->deferred = false;
	AfterTriggerSetState(all);
}

static Bitmapset *
dropped_columns(TupleDesc desc)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			columns = bms_add_member(columns, i + 1);
	}
	return columns;
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
	compat_init_range_table(update->estate, rel,
							offset_column_numbers(columns));
	update->target = makeNode(ResultRelInfo);
	InitResultRelInfo(update->target, rel, 1, NULL, 0);
	update->target->ri_TrigDesc = internal_triggers(update->target->ri_TrigDesc);
	ExecOpenIndices(update->target, false);
	/* the server looks for the ResultRelInfo here when it fires triggers */
	update->estate->es_opened_result_relations = list_make1(update->target);
	check_constraints_now();
	update->locked = table_slot_create(rel, NULL);
	update->dropped = dropped_columns(RelationGetDescr(rel));
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
 * Has the row been neither updated nor locked since the slot was filled?
 * Reads the stored tuple through the slot, which holds a pin on its buffer,
 * without a lock.  Returns false for other access methods.
 */
static bool
row_looks_free(TupleTableSlot *stored)
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
update_row_version(DirectUpdate *update, ItemPointer tid, TupleTableSlot *slot,
				   CompatUpdateIndexes *update_indexes)
{
	return compat_update_tuple(update->rel, tid, slot,
							   update->estate->es_output_cid,
							   update->estate->es_snapshot, update_indexes);
}

/* Marks this change only as one that is not sent. */
static bool
update_row_unsent(DirectUpdate *update, ItemPointer tid, TupleTableSlot *slot,
				  CompatUpdateIndexes *update_indexes)
{
	volatile bool done = false;
	uint16		origin = fill_origin_enter();

	PG_TRY();
	{
		done = update_row_version(update, tid, slot, update_indexes);
	}
	PG_FINALLY();
	{
		fill_origin_leave(origin);
	}
	PG_END_TRY();
	return done;
}

/*
 * Updates the row if no other session is updating it.  A row that does not
 * look free is locked first, which can be done without waiting; locking every
 * row would add a WAL record for each.  A session that takes the row between
 * the look and the update is waited for, as are those for which an index or a
 * foreign key makes the batch wait, for at most tandem.batch_lock_timeout.
 *
 * (The table access method offers an update that does not wait, but heap does
 * not support it: a server with assertions fails, because a tuple lock that
 * does not conflict is taken for one that does.)
 */
static DirectUpdateResult
update_row_or_skip(DirectUpdate *update, TupleTableSlot *stored,
				   TupleTableSlot *slot, CompatUpdateIndexes *update_indexes)
{
	ItemPointerData tid = stored->tts_tid;
	bool		done;

	if (!row_looks_free(stored))
	{
		DirectUpdateResult locked = direct_update_lock(update, &tid);

		if (locked != DIRECT_UPDATED)
			return locked;
	}
	done = update->sent ? update_row_version(update, &tid, slot,
											 update_indexes)
		: update_row_unsent(update, &tid, slot, update_indexes);
	return done ? DIRECT_UPDATED : DIRECT_GONE;
}

/*
 * As the planner does for an UPDATE.  The values of a column that was dropped,
 * and what is stored outside of the row for them, would be kept for ever.
 */
static void
clear_dropped_columns(const DirectUpdate *update, TupleTableSlot *slot)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(update->dropped, attnum)) >= 0)
	{
		slot->tts_values[attnum - 1] = (Datum) 0;
		slot->tts_isnull[attnum - 1] = true;
	}
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
	clear_dropped_columns(update, slot);
	if (constraints && constraints->has_generated_stored)
		ExecComputeStoredGenerated(update->target, update->estate, slot,
								   CMD_UPDATE);
	if (constrained)
		ExecConstraints(update->target, slot, update->estate);
	if (update->rel->rd_rel->relispartition)
		ExecPartitionCheck(update->target, slot, update->estate, true);
	result = update_row_or_skip(update, stored, slot, &update_indexes);
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
