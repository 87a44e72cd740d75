/*
 * row_movement.h
 *		Rows that an UPDATE moves to another partition.
 *
 * The server fires the sync trigger for the UPDATE in the old partition,
 * deletes the row there, and inserts it into the new partition, which fires
 * the trigger again.  Only the first call can tell which columns the writer
 * changed.  In the second, the columns must not look as if all were given, or
 * left to defaults.
 */
#ifndef TANDEM_ROW_MOVEMENT_H
#define TANDEM_ROW_MOVEMENT_H

#include "row/noted_row.h"

/*
 * Notes the tuple that the trigger returns for the stored row at tid.  Does
 * nothing if the table is not a partition.
 */
extern void row_movement_note(RowState *state, ItemPointer tid,
							  HeapTuple result);

/* The part of row_movement_before for a statement that has noted a row. */
extern TupleTableSlot *row_movement_take(RowState *state, NotedRow *noted);

/*
 * Call for a row about to be inserted into the partition of state.  If it is
 * the noted row being moved, returns a slot with its synced columns as they
 * were noted, valid until the next row is noted; else NULL.
 */
static inline TupleTableSlot *
row_movement_before(RowState *state)
{
	NotedRow   *noted = noted_row_find(state, NOTED_FOR_MOVE);

	return noted ? row_movement_take(state, noted) : NULL;
}

#endif							/* TANDEM_ROW_MOVEMENT_H */
