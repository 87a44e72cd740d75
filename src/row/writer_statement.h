/*
 * writer_statement.h
 *		What the statement that fires the sync trigger says about columns.
 */
#ifndef TANDEM_WRITER_STATEMENT_H
#define TANDEM_WRITER_STATEMENT_H

#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "utils/rel.h"

#include "rule/relation_rules.h"

typedef struct WriterStatement
{
	bool		known;			/* was the statement found? */
	Bitmapset  *named;			/* attribute numbers, in the table at hand, of
								 * the columns that an INSERT or COPY names */
	bool		names_other;	/* does it name a view, or a table above that
								 * at hand, whose defaults may be others? */
	bool		inserts;		/* does it insert rows?  If not, it only moves
								 * them to another partition */
	int			view_release;	/* release of the view that it writes through;
								 * 0 if none */

	/* the rest is for writer_statement.c */
	bool		by_action;		/* a MERGE: known and named depend on its
								 * action, see writer_statement_begin_row */
	Relation	rel;			/* the table at hand */
	struct WriteTarget *target; /* NULL if not found, or for COPY */
	struct WriterAnswers *answers;
} WriterStatement;

/*
 * Returns what is known of the statement that fires the trigger of rel, in the
 * memory context of that statement.  call is the trigger function's FmgrInfo
 * (fcinfo->flinfo), by which the server tells the targets of a statement apart.
 * Each target has a fn_extra of its own, so what is kept there belongs to one
 * target: rel, a partitioned table above it, or a view.  search_path is that of
 * the rules of rel; it lives as long as the statement.  The statement is not
 * found in a subscription's apply worker, or in a function while the library
 * was not loaded when the statement began.
 */
extern WriterStatement *writer_statement_find(Relation rel,
											  const FmgrInfo *call,
											  const char *search_path);

extern void writer_statement_choose_action(WriterStatement *statement);

/*
 * Call for each row before known and named are read: a MERGE with several
 * INSERT actions names other columns in each.  Costs nothing else.
 */
static inline void
writer_statement_begin_row(WriterStatement *statement)
{
	if (statement->by_action)
		writer_statement_choose_action(statement);
}

/*
 * Does the INSERT name the column with just its default, for the row at hand:
 * DEFAULT, or an expression that is equal to the column's?  Only for columns
 * whose default is computed; for others compare the values.  False for COPY,
 * and where the rows of a VALUES list differ while the library was not loaded
 * when the statement began.
 */
extern bool writer_statement_gives_default(const WriterStatement *statement,
										   AttrNumber attnum);

/*
 * Is that value of the row at hand just the column's default in what the INSERT
 * or COPY names?
 */
extern bool writer_statement_value_is_default(const WriterStatement *statement,
											  const RuleColumn *column,
											  Datum value, bool isnull);

/*
 * Returns the default that the server computes for a column that the INSERT or
 * COPY does not name, planned, or NULL if there is none.  If it is not known
 * which, sets *unknown.
 */
extern Node *writer_statement_default(const WriterStatement *statement,
									  AttrNumber attnum, bool *unknown);

/*
 * Does an UPDATE, ON CONFLICT DO UPDATE or MERGE compute the column from stored
 * values of the column?  Asked about a row that is updated.  A view that
 * shows another value than the stored one has an expression there, which the
 * server does not let be written; so writing through a view makes no
 * difference.
 */
extern bool writer_statement_computes_from_itself(const WriterStatement *statement,
												  AttrNumber attnum);

#endif							/* TANDEM_WRITER_STATEMENT_H */
