/*
 * dropped_column.h
 *		Columns that contract drops: when a row has there what down says.
 */
#ifndef TANDEM_DROPPED_COLUMN_H
#define TANDEM_DROPPED_COLUMN_H

#include "row/row_state.h"

/*
 * Is a row inserted by a writer who says nothing of the column, so that it gets what
 * down says?  False for any other rule.  Call it once no rule reaches the column.
 */
extern bool dropped_column_is_left(const RowState *state, const CompiledRule *rule);

/* Does down read what a rule that has not run yet is going to compute? */
extern bool dropped_column_waits(const RowState *state, const CompiledRule *rule);

/*
 * Does down read a new column that the row, which is updated, was never filled in?
 * False for any other rule.
 */
extern bool dropped_column_reads_unfilled(const RowState *state, const CompiledRule *rule);

#endif							/* TANDEM_DROPPED_COLUMN_H */
