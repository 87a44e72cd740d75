/*
 * row_tuple.h
 *		Forms the tuple to be stored for a row, and describes the row's key.
 */
#ifndef TANDEM_ROW_TUPLE_H
#define TANDEM_ROW_TUPLE_H

#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "row/row_state.h"

/*
 * Returns the loaded row as a tuple in the current context.  At least one of
 * its columns must have been replaced.  tuple is the row as it was loaded.
 */
extern HeapTuple row_tuple(const RowState *state, HeapTuple tuple);

/*
 * Returns the attribute numbers that identify a row of rel, as an integer
 * list: those of the primary key, or else of fallback, a list of column names.
 */
extern List *row_key_columns(Relation rel, List *fallback);

/*
 * Returns columns of the row in slot as JSON text in the form {"id": "5"},
 * with all values as strings, in the current context.
 */
extern char *row_columns_json(Relation rel, TupleTableSlot *slot,
							  List *columns);

/* The same under other names, one for each column. */
extern char *row_columns_json_as(Relation rel, TupleTableSlot *slot,
								 List *columns, List *names);

/* Returns the names of the columns, palloc'd. */
extern List *row_column_names(Relation rel, List *columns);

/*
 * Returns the key of the row in that form: fallback is as for row_key_columns.
 * A key that is too long to be kept is replaced with the row's ctid.
 */
extern char *row_key_json(Relation rel, TupleTableSlot *slot, List *fallback);

/*
 * Returns the columns in the form (id)=(5), as the server's messages show
 * keys.
 */
extern char *row_key_text(Relation rel, TupleTableSlot *slot, List *columns);

#endif							/* TANDEM_ROW_TUPLE_H */
