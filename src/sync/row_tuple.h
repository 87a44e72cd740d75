/*
 * row_tuple.h
 *		The tuple of a row some of whose columns the rules have replaced.
 */
#ifndef TANDEM_ROW_TUPLE_H
#define TANDEM_ROW_TUPLE_H

#include "sync/row_state.h"

/*
 * The loaded row, at least one column of which is replaced, as a tuple in the
 * current context.  tuple is that of the row as it was loaded.
 */
extern HeapTuple row_tuple(const RowState *state, HeapTuple tuple);

#endif							/* TANDEM_ROW_TUPLE_H */
