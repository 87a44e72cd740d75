/*
 * row_movement.h
 *		Rows that an UPDATE moves to another partition.
 *
 * The server updates such a row in its old partition, deletes it there, and
 * inserts it into its new one, and the sync trigger fires on the first and on
 * the last.  The first knows what the writer changed; to the last the row must
 * not look like one whose columns were all given, or left at their defaults.
 */
#ifndef TANDEM_ROW_MOVEMENT_H
#define TANDEM_ROW_MOVEMENT_H

#include "row/row_state.h"

/*
 * Notes the row, as the trigger returns it, that takes the place of the stored
 * row at tid.  Of a table that is no partition: does nothing.
 */
extern void row_movement_note(RowState *state, ItemPointer tid,
							  HeapTuple result);

/*
 * For a row now being inserted into the partition of state: if it is the noted
 * one on its way, a slot that has its synced columns as they were noted, which
 * lasts until the next row is noted; else NULL.
 */
extern TupleTableSlot *row_movement_before(RowState *state);

#endif							/* TANDEM_ROW_MOVEMENT_H */
