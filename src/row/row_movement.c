/*
 * row_movement.c
 *		Rows that an UPDATE moves to another partition.
 *
 * Only the row that a statement updated last is kept, in the statement's
 * memory context, and only the same statement looks for it.  It is gone when
 * the statement ends, in whatever way.  So it cannot be confused with what
 * comes after the statement (TRUNCATE of the partition, another row at the
 * same TID) or with statements that other triggers run in between.
 *
 * Whether the row was moved is read from the stored tuple: the server marks it
 * before it inserts the new one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "row/row_movement.h"

typedef struct NotedRow
{
	dlist_node	node;			/* in notes */
	MemoryContext statement;	/* context of the statement, and of this
								 * struct */
	MemoryContextCallback end;
	MemoryContext context;		/* of the values */
	Oid			relid;			/* its old partition, or InvalidOid if none */
	ItemPointerData tid;
	int			rule;			/* id of the first rule, to tell tables apart */
	int			ncolumns;		/* rules->columns, equal in all partitions */
	Datum	   *values;
	bool	   *nulls;
} NotedRow;

/* one for each active statement, innermost first */
static dlist_head notes = DLIST_STATIC_INIT(notes);

/* Reset callback of the statement's memory context. */
static void
forget_moved_row(void *arg)
{
	NotedRow   *noted = arg;

	dlist_delete(&noted->node);
}

static NotedRow *
find_moved_row(MemoryContext statement)
{
	dlist_iter	iter;

	dlist_foreach(iter, &notes)
	{
		NotedRow   *noted = dlist_container(NotedRow, node, iter.cur);

		if (noted->statement == statement)
			return noted;
	}
	return NULL;
}

static NotedRow *
make_moved_row(MemoryContext statement)
{
	NotedRow   *noted = MemoryContextAllocZero(statement, sizeof(NotedRow));

	noted->statement = statement;
	noted->context = AllocSetContextCreate(statement, "tandem row movement",
										   ALLOCSET_SMALL_SIZES);
	noted->end.func = forget_moved_row;
	noted->end.arg = noted;
	dlist_push_head(&notes, &noted->node);
	MemoryContextRegisterResetCallback(statement, &noted->end);
	return noted;
}

/* Returns the statement's NotedRow, emptied or new. */
static NotedRow *
take_moved_row(RowState *state)
{
	NotedRow   *noted = find_moved_row(state->statement);

	if (noted == NULL)
		return make_moved_row(state->statement);
	noted->relid = InvalidOid;
	MemoryContextReset(noted->context);
	return noted;
}

void
row_movement_note(RowState *state, ItemPointer tid, HeapTuple result)
{
	RelationRules *rules = state->rules;
	NotedRow   *noted;
	MemoryContext caller;

	if (!state->rel->rd_rel->relispartition)
		return;
	noted = take_moved_row(state);
	caller = MemoryContextSwitchTo(noted->context);
	noted->tid = *tid;
	noted->rule = rules->rules[0].source->id;
	noted->ncolumns = rules->ncolumns;
	noted->values = palloc(sizeof(Datum) * rules->ncolumns);
	noted->nulls = palloc(sizeof(bool) * rules->ncolumns);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		Form_pg_attribute att = rules->columns[i].att;
		Datum		value = heap_getattr(result, att->attnum,
										 RelationGetDescr(state->rel),
										 &noted->nulls[i]);

		noted->values[i] = noted->nulls[i] ? (Datum) 0
			: datumCopy(value, att->attbyval, att->attlen);
	}
	noted->relid = rules->relid;
	MemoryContextSwitchTo(caller);
}

/* Has this transaction deleted the noted row in order to move it? */
static bool
row_was_moved(const NotedRow *noted)
{
	/* the active statement already holds a lock on the partition */
	Relation	rel = try_table_open(noted->relid, NoLock);
	HeapTupleData tuple;
	Buffer		buffer;
	bool		moved = false;

	if (rel == NULL)
		return false;
	tuple.t_self = noted->tid;
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
	NotedRow   *noted = find_moved_row(state->statement);
	TupleTableSlot *slot;

	if (noted == NULL || !OidIsValid(noted->relid) ||
		noted->relid == rules->relid ||
		noted->rule != rules->rules[0].source->id ||
		noted->ncolumns != rules->ncolumns || !row_was_moved(noted))
		return NULL;
	if (state->moved == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		state->moved = compat_make_slot(rules->desc, &TTSOpsVirtual);
		MemoryContextSwitchTo(caller);
	}
	slot = state->moved;
	ExecStoreAllNullTuple(slot);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		slot->tts_values[rules->columns[i].attnum - 1] = noted->values[i];
		slot->tts_isnull[rules->columns[i].attnum - 1] = noted->nulls[i];
	}
	noted->relid = InvalidOid;
	return slot;
}
