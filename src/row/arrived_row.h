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
 * The same of a row that gives neither side of the rule, and was not filled here, or
 * not there: are its new columns NULL because they came so?  Evaluates up.
 */
extern bool arrived_row_is_filled(RowState *state, const CompiledRule *rule);

#endif							/* TANDEM_ARRIVED_ROW_H */
