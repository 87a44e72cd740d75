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

#include "row/row_state.h"

/*
 * Notes the tuple that the trigger returns for the stored row at tid.  Does
 * nothing if the table is not a partition.
 */
extern void row_movement_note(RowState *state, ItemPointer tid,
							  HeapTuple result);

/*
 * Call for a row about to be inserted into the partition of state.  If it is
 * the noted row being moved, returns a slot with its synced columns as they
 * were noted, valid until the next row is noted; else NULL.
 */
extern TupleTableSlot *row_movement_before(RowState *state);

#endif							/* TANDEM_ROW_MOVEMENT_H */
