/*
 * writer_statement.h
 *		What the statement that fires the sync trigger says about columns.
 */
#ifndef TANDEM_WRITER_STATEMENT_H
#define TANDEM_WRITER_STATEMENT_H

#include "nodes/bitmapset.h"
#include "utils/rel.h"

typedef struct WriterStatement
{
	bool		known;			/* was the statement found? */
	Bitmapset  *named;			/* attribute numbers, in the table at hand, of
								 * the columns that an INSERT or COPY names */
	int			view_release;	/* release of the view that it writes through;
								 * 0 if none */
} WriterStatement;

/*
 * Returns what is known of the statement that fires the trigger of rel, in
 * the memory context of that statement.  Its target may be rel, a partitioned
 * table above it, or a view.  It is not found within COPY of ..., in a
 * subscription's apply worker, or in a function while the library was not
 * loaded when the statement began.
 */
extern WriterStatement *writer_statement_find(Relation rel,
											  MemoryContext statement);

/*
 * Does the INSERT name the column with just its default, for the row at hand:
 * DEFAULT, or an expression that is equal to the column's?  Only for columns
 * whose default is computed; for others compare the values.
 */
extern bool writer_statement_gives_default(const WriterStatement *statement,
										   AttrNumber attnum);

/*
 * Does an UPDATE, ON CONFLICT DO UPDATE or MERGE on the table itself compute
 * the column from the column's own value before?
 */
extern bool writer_statement_computes_from_itself(const WriterStatement *statement,
												  AttrNumber attnum);

#endif							/* TANDEM_WRITER_STATEMENT_H */
