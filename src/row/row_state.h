/*
 * row_state.h
 *		The state of one row while the rules of its relation are applied.
 *
 * A RowState serves one statement (or batch) at a time and is loaded with one
 * row after the other.  At the end of the statement it is left with the rules
 * for the next statement, where that is safe.
 */
#ifndef TANDEM_ROW_STATE_H
#define TANDEM_ROW_STATE_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

#include "row/writer_statement.h"
#include "rule/relation_rules.h"

/*
 * What the writer did to a column, the weaker first.  An UPDATE gives a column
 * or not, by its image.  In an INSERT a column that holds its default is absent
 * until row_settle_doubts has asked the statement.
 */
typedef enum Given
{
	GIVEN_ABSENT,
	GIVEN_NAMED,				/* an INSERT names it, with just its default */
	GIVEN_DOUBT,				/* may hold a computed default, or a value */
	GIVEN_YES
} Given;

/* What a rule has done to the row. */
typedef enum RuleOutcome
{
	RULE_PENDING,
	RULE_KEPT,					/* both sides are as the writer left them */
	RULE_UP,					/* the new side was computed */
	RULE_DOWN					/* the old side was computed */
} RuleOutcome;

typedef struct RowState
{
	RelationRules *rules;		/* those of table */
	MemoryContext context;		/* memory context of this state */
	uint64		function_changes;	/* value of the counter when this was made */
	ExprContext *econtext;		/* reset for each loaded row */
	ExprState **expressions;	/* by RuleExpression.id, made on first use */
	MemoryContext compiled;		/* memory context of the expressions */
	bool		forgotten;		/* some were discarded: free all after the row */
	bool		computing;		/* evaluating; stays set after an error */
	NullableDatum *computed;	/* of one side, by index into its columns */
	TupleTableSlot *noted;		/* see noted_row.c; made on first use */
	bool		is_followed;	/* before is the row as the first trigger has
								 * left it */

	/* valid for one statement */
	Relation	rel;
	TableRules *table;
	MemoryContext statement;
	const FmgrInfo *call;		/* of the trigger; NULL in a fill */
	MemoryContextCallback end;
	WriterStatement *writer;	/* what it says of columns; NULL until asked */
	int			release;		/* as which it writes; -1 until asked */
	bool		may_name_other; /* see row_settle_named; valid if */
	bool		named_known;	/* that was asked of the statement */
	Bitmapset  *without_notes;	/* rules, by index, that have no row in
								 * quarantine */
	Oid			owner;			/* who evaluates expressions; InvalidOid until
								 * one is */

	/* valid for one row */
	TupleTableSlot *row;		/* virtual; the rules change its values */
	TupleTableSlot *before;		/* the old row of an UPDATE; NULL for an
								 * INSERT */
	int			stored_natts;	/* number of columns in the stored old row, or
								 * ROW_SETTLED */
	AttrNumber	first_replaced; /* lowest attribute number replaced, or 0 */
	Given	   *given;			/* by index into rules->columns */
	bool		settled;		/* has the statement been asked about given? */
	RuleOutcome *outcomes;		/* for dual_write.c, by index into
								 * rules->rules */
} RowState;

/*
 * Returns a state for rows of rel.  It is released when the current memory
 * context, which must be that of the statement, is reset.  The caller holds a
 * lock on rel until then.
 */
extern RowState *row_state_create(Relation rel, const Trigger *trigger);

/*
 * In place of stored_natts: the row before is as the rules have left it in this
 * statement, so that a NULL there is not one of a row that was never filled.
 */
#define ROW_SETTLED INT_MAX

/*
 * Loads a row.  before is the old row of an UPDATE, whose stored tuple has
 * stored_natts columns, or NULL for an INSERT.  A fill passes the same row as
 * both.
 */
extern void row_state_load(RowState *state, TupleTableSlot *row,
						   TupleTableSlot *before, int stored_natts);

/*
 * Is row the stored one, as far as the rules' columns tell?  stored_natts is as
 * in row_state_load.  ON CONFLICT DO UPDATE reads the row that a trigger returns
 * by the descriptor of the topmost table, which does not have the values of
 * columns that the row is too short for.  So NULL is taken for such a value.
 */
extern bool row_is_stored_row(const RowState *state, TupleTableSlot *row,
							  TupleTableSlot *stored, int stored_natts);

/*
 * Notes which columns of row are given; row need not be loaded.  Returns true
 * if any column is not absent.  before is as in row_state_load.
 */
extern bool row_note_given(RowState *state, TupleTableSlot *row,
						   TupleTableSlot *before);

/* Returns the highest "given" value among the side's columns. */
static inline Given
row_side_given(const RowState *state, const RuleSide *side)
{
	Given		given = GIVEN_ABSENT;

	for (int i = 0; i < side->ncolumns; i++)
		given = Max(given, state->given[side->columns[i]]);
	return given;
}

/* What the writer's statement says of columns; found once per statement. */
extern const WriterStatement *row_writer(RowState *state);

/*
 * Returns the release as which the statement writes, or 0; see writer_release.
 * Which view it writes through is found out only where that matters.
 */
extern int	row_declared_release(RowState *state);

/*
 * The same for the dual write: 0 for what the application does not say, what a
 * foreign key cascades and what a fill that fires triggers writes.
 */
extern int	row_writer_release(RowState *state);

/*
 * Asks the statement, if it can be found, which columns of an INSERT are named
 * and which hold their default.  Columns that are given, or were set by a rule,
 * stay so.
 */
extern void row_settle_doubts(RowState *state);

/*
 * Call before any rule is applied to a row of an INSERT.  Where the statement
 * names a view, or a table above this one, a value that is no default here may
 * be one there, and the other way around: then does the same for all columns.
 */
extern void row_settle_named(RowState *state);

/*
 * Makes a column absent that the writer has given without meaning it: it has
 * the value from before an UPDATE, and its default in an INSERT, unless that
 * is computed.
 */
extern void row_take_back(RowState *state, int column);

/*
 * Evaluates an expression of a rule, as the owner of the table and
 * security-restricted: on the current values of the row, or with before on the
 * row as it was before the UPDATE.  The result lives until the next row is
 * loaded.  Errors: any that the expression throws, with a context line that
 * names the rule.
 */
extern Datum row_compute(RowState *state, const CompiledRule *rule,
						 const RuleExpression *expression, bool before,
						 bool *isnull);

/*
 * Evaluates the expressions of a side into state->computed, by index into its
 * columns; otherwise as row_compute.
 */
extern void row_compute_side(RowState *state, const CompiledRule *rule,
							 const RuleSide *side, bool before);

/*
 * Has the row, in the side's column of that index, what was evaluated last, by
 * the equality of its type?  The column has an expression.
 */
extern bool row_column_is_computed(const RowState *state, const RuleSide *side,
								   int index);

/* The same for all columns of the side that have an expression. */
extern bool row_side_is_computed(const RowState *state, const RuleSide *side);

/*
 * Discards the compiled expressions of a side after one of them failed: a
 * function that it called may have been left in an inconsistent state.
 */
extern void row_forget_compiled(RowState *state, const RuleSide *side);

/* Sets a column, unless it has the same image already. */
extern void row_set(RowState *state, int column, Datum value, bool isnull);

/* Does the column hold NULL, or its constant default? */
extern bool row_column_is_default(const RowState *state, int column);

/* Compares by the type's own equality; NULLs are equal. */
extern bool column_equal(const RuleColumn *column, Datum a, bool a_null,
						 Datum b, bool b_null);

/*
 * Returns "name = value, name = value" for the columns of a side, palloc'd,
 * for messages.  A column that the current user may not select has its name
 * only.
 */
extern char *row_describe(const RowState *state, const RuleSide *side);

/* The same as row_is_unfilled, by the values of the new columns. */
extern bool row_seems_unfilled(const RowState *state,
							   const CompiledRule *rule);

/* Has the row not yet been given the new columns of the rule? */
static inline bool
row_is_unfilled(const RowState *state, const CompiledRule *rule)
{
	switch (state->table->unfilled[rule - state->rules->rules])
	{
		case UNFILLED_NONE:
			/* the fill has left a row short for which up gives what it had */
			return false;
		case UNFILLED_SHORT:
			return state->stored_natts < rule->first_new;
		case UNFILLED_UNKNOWN:
			break;
	}
	return state->stored_natts < rule->first_new ||
		(state->stored_natts != ROW_SETTLED && row_seems_unfilled(state, rule));
}

/*
 * Does any rule find the stored row in slot unfilled?  The row need not be
 * loaded.
 */
extern bool row_needs_fill(RowState *state, TupleTableSlot *slot,
						   int stored_natts);

#endif							/* TANDEM_ROW_STATE_H */
