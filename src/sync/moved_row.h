/*
 * moved_row.h
 *		Rows that an UPDATE moves from one partition to another.
 *
 * Such a row passes the trigger twice: as an UPDATE of the old partition and
 * then as an INSERT into the new one.  The second time nothing tells what the
 * writer gave; but the first time has done all there is to do.
 */
#ifndef TANDEM_MOVED_ROW_H
#define TANDEM_MOVED_ROW_H

#include "sync/row_state.h"

/* Notes a row of a partition as the trigger of an UPDATE leaves it. */
extern void moved_row_note(const RowState *state, TupleTableSlot *row);

/*
 * Whether the row being inserted is the one noted last, by the same command,
 * with the same values in all synced columns.
 */
extern bool moved_row_is_noted(const RowState *state, TupleTableSlot *row);

#endif							/* TANDEM_MOVED_ROW_H */
