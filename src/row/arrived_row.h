/*
 * arrived_row.h
 *		Rows that come from another region as its syncs have left them.
 */
#ifndef TANDEM_ARRIVED_ROW_H
#define TANDEM_ARRIVED_ROW_H

#include "row/row_state.h"

/*
 * Has the row come from a region where the sync has been at work on it, with all
 * columns?
 */
extern bool arrived_row_is_whole(const CompiledRule *rule);

/*
 * For a row that gives neither side of the rule, and was not filled here: if it has
 * come whole, sets what was not sent of it and returns true.  Its new columns are
 * NULL otherwise because they came so.
 */
extern bool arrived_row_complete(RowState *state, const CompiledRule *rule);

#endif							/* TANDEM_ARRIVED_ROW_H */
