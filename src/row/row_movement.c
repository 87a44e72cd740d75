/*
 * row_movement.c
 *		Rows that an UPDATE moves to another partition.
 *
 * Only the row that a statement updated last is noted.  Whether it was moved
 * is read from the stored tuple: the server marks it before it inserts the new
 * one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/snapmgr.h"

#include "row/row_movement.h"

void
row_movement_note(RowState *state, ItemPointer tid, HeapTuple result)
{
	if (state->rel->rd_rel->relispartition)
		noted_row_set(state, NOTED_FOR_MOVE, tid, result);
}

/* Has this transaction deleted the noted row in order to move it? */
static bool
row_was_moved(const NotedRow *noted)
{
	/* the active statement already holds a lock on the partition */
	Relation	rel = try_table_open(noted_row_relation(noted), NoLock);
	HeapTupleData tuple;
	Buffer		buffer;
	bool		moved = false;

	if (rel == NULL)
		return false;
	tuple.t_self = *noted_row_tid(noted);
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
row_movement_take(RowState *state, NotedRow *noted)
{
	if (noted_row_relation(noted) == state->table->relid ||
		!row_was_moved(noted))
		return NULL;
	return noted_row_take(state, noted);
}
