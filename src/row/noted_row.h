/*
 * noted_row.h
 *		A row as a trigger has left it, kept for a later trigger of the same
 *		statement.
 */
#ifndef TANDEM_NOTED_ROW_H
#define TANDEM_NOTED_ROW_H

#include "row/row_state.h"

/* For which trigger a row is noted. */
typedef enum NotedFor
{
	NOTED_FOR_MOVE,				/* the INSERT into another partition */
	NOTED_FOR_LAST				/* the last trigger of the same table */
} NotedFor;

typedef struct NotedRow NotedRow;

/*
 * Notes the columns of the rules of tuple, a row of the statement and table of
 * state, which is at tid (NULL if it is not stored yet).  It replaces what was
 * noted before: of the statement for NOTED_FOR_MOVE, of the statement and the
 * table for NOTED_FOR_LAST.
 */
extern void noted_row_set(RowState *state, NotedFor purpose,
						  const ItemPointerData * tid, HeapTuple tuple);

/* The number of statements and tables for which a row is kept. */
extern int	noted_row_count;

extern NotedRow *noted_row_search(RowState *state, NotedFor purpose);

/* Returns what was noted, or NULL. */
static inline NotedRow *
noted_row_find(RowState *state, NotedFor purpose)
{
	return noted_row_count > 0 ? noted_row_search(state, purpose) : NULL;
}

/* The table and the place of the noted row. */
extern Oid	noted_row_relation(const NotedRow *noted);
extern const ItemPointerData *noted_row_tid(const NotedRow *noted);

/*
 * Returns the noted row, in a slot of state that is valid until another row is
 * noted; all columns that no rule reads are NULL.  NULL if it is one of other
 * rules.  It is not found again then.
 */
extern TupleTableSlot *noted_row_take(RowState *state, NotedRow *noted);

#endif							/* TANDEM_NOTED_ROW_H */
