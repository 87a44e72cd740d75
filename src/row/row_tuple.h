/*
 * row_tuple.h
 *		The tuple that a row becomes, and its key.
 */
#ifndef TANDEM_ROW_TUPLE_H
#define TANDEM_ROW_TUPLE_H

#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "row/row_state.h"

/*
 * The loaded row, at least one column of which is replaced, as a tuple in the
 * current context.  tuple is that of the row as it was loaded.
 */
extern HeapTuple row_tuple(const RowState *state, HeapTuple tuple);

/*
 * Numbers of the columns that name a row of rel, as an integer list: the
 * primary key, or else fallback, names of columns.
 */
extern List *row_key_columns(Relation rel, List *fallback);

/* {"id": "5"}: columns of the row in slot as JSON text; values are text. */
extern char *row_columns_json(Relation rel, TupleTableSlot *slot,
							  List *columns);

/* (id)=(5): the same as the server's messages show keys. */
extern char *row_key_text(Relation rel, TupleTableSlot *slot, List *columns);

#endif							/* TANDEM_ROW_TUPLE_H */
