/*
 * row_state.h
 *		One row on its way through the rules of its relation.
 *
 * A RowState serves a statement (or a batch) at a time and is loaded with row
 * after row.  Its rules keep it for the next statement where that is safe.
 */
#ifndef TANDEM_ROW_STATE_H
#define TANDEM_ROW_STATE_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

#include "rule/relation_rules.h"

/* Whether the writer gave a column a value of its own. */
typedef enum Given
{
	GIVEN_NO,
	GIVEN_MAYBE,				/* it may be a computed default */
	GIVEN_YES
} Given;

typedef struct RowState
{
	RelationRules *rules;
	MemoryContext context;		/* of this state */
	uint64		function_changes;	/* that there had been when it was made */
	ExprContext *econtext;		/* reset with every row loaded */
	ExprState **expressions;	/* by RuleExpression.id, made when needed */
	MemoryContext compiled;		/* of the expressions */
	bool		forgotten;		/* some are given up: free all with the row */
	bool		computing;		/* one is at work, or has raised */
	NullableDatum *computed;	/* of a side; column i of it has value i */
	TupleTableSlot *moved;		/* of row_movement.c; made when needed */

	/* of the statement */
	Relation	rel;
	MemoryContext statement;
	MemoryContextCallback end;
	bool		columns_known;	/* whether named_columns is to be trusted */
	bool		columns_sought;
	Bitmapset  *named_columns;	/* that the statement names */

	/* of the row */
	TupleTableSlot *row;		/* virtual; its values are worked on */
	TupleTableSlot *before;		/* of an UPDATE: the old row; NULL: INSERT */
	int			stored_natts;	/* columns of the stored old row */
	AttrNumber	first_replaced; /* least number of a replaced column; 0: none
								 * is */
	Given	   *given;			/* by index into rules->columns */
	bool	   *done;			/* of dual_write.c, by index into rules->rules */
} RowState;

/*
 * A state for rows of rel, until the reset of the current context, which is
 * that of the statement.  The caller keeps its lock on rel.
 */
extern RowState *row_state_create(Relation rel, const Trigger *trigger);

/*
 * Loads a row.  before is the old row of an UPDATE, whose stored form has
 * stored_natts columns, or NULL for an INSERT.  For a fill both are the same.
 */
extern void row_state_load(RowState *state, TupleTableSlot *row,
						   TupleTableSlot *before, int stored_natts);

/*
 * Notes which columns of row are given, which need not be loaded, and returns
 * whether any may be.  before is as of row_state_load.
 */
extern bool row_note_given(RowState *state, TupleTableSlot *row,
						   TupleTableSlot *before);

/* Whether any column of the side is given, at its surest. */
static inline Given
row_side_given(const RowState *state, const RuleSide *side)
{
	Given		given = GIVEN_NO;

	for (int i = 0; i < side->ncolumns; i++)
		given = Max(given, state->given[side->columns[i]]);
	return given;
}

/* Makes sure which of the columns in doubt the statement named. */
extern void row_settle_doubts(RowState *state);

/*
 * Computes an expression of a rule over the row as it is now.  The result
 * lives until the next row is loaded.  Errors: whatever it raises, with a
 * context line that names the rule.
 */
extern Datum row_compute(RowState *state, const CompiledRule *rule,
						 const RuleExpression *expression, bool *isnull);

/*
 * Lets go of the compiled expressions of a side one of which raised: a
 * function called by it may be left in the middle of its work.
 */
extern void row_forget_compiled(RowState *state, const RuleSide *side);

/* Gives a column a value, unless it has it already, by image. */
extern void row_set(RowState *state, int column, Datum value, bool isnull);

/* Whether the column's type calls them equal; NULL equals NULL. */
extern bool column_equal(const RuleColumn *column, Datum a, bool a_null,
						 Datum b, bool b_null);

/*
 * "name = value, name = value" of the columns, for messages; palloc'd.  Of a
 * column that the current user may not select it has the name alone.
 */
extern char *row_describe(const RowState *state, const RuleSide *side);

/* Whether nobody has yet given the row the new columns of the rule. */
extern bool row_is_unfilled(const RowState *state, const CompiledRule *rule);

/*
 * Whether any rule finds the stored row in slot unfilled.  It need not be
 * loaded.
 */
extern bool row_needs_fill(RowState *state, TupleTableSlot *slot,
						   int stored_natts);

#endif							/* TANDEM_ROW_STATE_H */
