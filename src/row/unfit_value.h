/*
 * unfit_value.h
 *		The error of a writer whose value the old type of a column cannot hold.
 */
#ifndef TANDEM_UNFIT_VALUE_H
#define TANDEM_UNFIT_VALUE_H

#include "row/row_state.h"

/*
 * Call in an error context callback, of an error in down of column while a statement
 * writes a row.  If it says that the value does not fit the type, the message names the
 * column, the type and the migration, and the hint the statement that tells how much
 * room is left.
 */
extern void unfit_value_explain(const RowState *state, const CompiledRule *rule,
								const RuleColumn *column);

#endif							/* TANDEM_UNFIT_VALUE_H */
