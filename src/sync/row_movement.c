/*
 * row_movement.c
 *		Rows that an UPDATE moves to another partition.
 *
 * Only the last updated row is noted.  That it is moved is read from the
 * stored row, which the server marks so before it inserts the new one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "sync/row_movement.h"

typedef struct NotedRow
{
	Oid			relid;			/* its old partition; invalid: none is noted */
	ItemPointerData tid;
	int			rule;			/* id of the first rule: tells the tables
								 * apart */
	int			ncolumns;		/* rules->columns, the same of all partitions */
	Datum	   *values;
	bool	   *nulls;
} NotedRow;

static NotedRow noted;
static MemoryContext noted_context = NULL;

static void
forget(XactEvent event, void *arg)
{
	noted.relid = InvalidOid;
}

static void
make_room(void)
{
	if (noted_context == NULL)
	{
		noted_context = AllocSetContextCreate(TopMemoryContext,
											  "tandem row movement",
											  ALLOCSET_SMALL_SIZES);
		RegisterXactCallback(forget, NULL);
	}
	noted.relid = InvalidOid;
	MemoryContextReset(noted_context);
}

void
row_movement_note(RowState *state, ItemPointer tid, HeapTuple result)
{
	RelationRules *rules = state->rules;
	MemoryContext caller;

	if (!state->rel->rd_rel->relispartition)
		return;
	make_room();
	caller = MemoryContextSwitchTo(noted_context);
	noted.tid = *tid;
	noted.rule = rules->rules[0].source->id;
	noted.ncolumns = rules->ncolumns;
	noted.values = palloc(sizeof(Datum) * rules->ncolumns);
	noted.nulls = palloc(sizeof(bool) * rules->ncolumns);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		Form_pg_attribute att = rules->columns[i].att;
		Datum		value = heap_getattr(result, att->attnum,
										 RelationGetDescr(state->rel),
										 &noted.nulls[i]);

		noted.values[i] = noted.nulls[i] ? (Datum) 0
			: datumCopy(value, att->attbyval, att->attlen);
	}
	noted.relid = rules->relid;
	MemoryContextSwitchTo(caller);
}

/* Whether this transaction has just taken the noted row away for a move. */
static bool
noted_row_is_moved(void)
{
	/* this transaction has updated the partition, and so holds a lock on it */
	Relation	rel = try_table_open(noted.relid, NoLock);
	HeapTupleData tuple;
	Buffer		buffer;
	bool		moved = false;

	if (rel == NULL)
		return false;
	tuple.t_self = noted.tid;
	if (rel->rd_tableam == GetHeapamTableAmRoutine() &&
		heap_fetch(rel, SnapshotAny, &tuple, &buffer, false))
	{
		moved = HeapTupleHeaderIndicatesMovedPartitions(tuple.t_data) &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple.t_data));
		ReleaseBuffer(buffer);
	}
	table_close(rel, NoLock);
	return moved;
}

TupleTableSlot *
row_movement_before(RowState *state)
{
	RelationRules *rules = state->rules;
	TupleTableSlot *slot;

	if (!OidIsValid(noted.relid) || noted.relid == rules->relid ||
		noted.rule != rules->rules[0].source->id ||
		noted.ncolumns != rules->ncolumns || !noted_row_is_moved())
		return NULL;
	if (state->moved == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		state->moved = MakeTupleTableSlot(rules->desc, &TTSOpsVirtual);
		MemoryContextSwitchTo(caller);
	}
	slot = state->moved;
	ExecStoreAllNullTuple(slot);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		slot->tts_values[rules->columns[i].attnum - 1] = noted.values[i];
		slot->tts_isnull[rules->columns[i].attnum - 1] = noted.nulls[i];
	}
	noted.relid = InvalidOid;
	return slot;
}
