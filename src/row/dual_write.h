/*
 * dual_write.h
 *		The dual write: what a writer has given, and what follows from it.
 */
#ifndef TANDEM_DUAL_WRITE_H
#define TANDEM_DUAL_WRITE_H

#include "nodes/bitmapset.h"
#include "utils/rel.h"

#include "row/row_state.h"

/*
 * The numbers of the columns of rel that the statement of the active portal
 * names as targets, whether it writes rel itself or a partitioned parent.
 * *known is false where that statement cannot be reached or does not write
 * rel: inside a function, or in the apply worker of a subscription.  statement
 * is the context of the statement that fires the trigger.
 */
extern Bitmapset *given_columns(Relation rel, MemoryContext statement,
								bool *known);

/*-------------------------------------------------------------------------
 * The dual-write rule: what becomes of a row that somebody writes.
 *
 * The table of the rule is in src/row/README.md.
 *-------------------------------------------------------------------------
 */

/*
 * Whether a write of row can need anything at all; notes which columns are
 * given.  Arguments as of row_state_load, which is called only when true.
 */
extern bool dual_write_concerns(RowState *state, TupleTableSlot *row,
								TupleTableSlot *before, int stored_natts);

/*
 * Applies all rules to the loaded row, in both directions, until nothing
 * follows any more.  On return state->first_replaced tells whether it is changed.
 * Errors: a conflict of both sides; whatever up or down raises.
 */
extern void dual_write_apply(RowState *state);

/*
 * Fills the loaded row for each rule that finds it unfilled, and as a fresh
 * row for the rule with id forced (0: none).  Returns the number of rules
 * whose transform raised and was quarantined.
 */
extern int	dual_write_fill(RowState *state, int forced);

/* Whether the two sides of the loaded row agree, as the rule sees it. */
extern bool dual_write_agrees(RowState *state, CompiledRule *rule);

/* Whether up or down of a rule that quarantines raises on the loaded row. */
extern bool dual_write_raises(RowState *state, CompiledRule *rule);

/*
 * Computes the new side from the old one, or the other way.  False: the
 * transform raised, and the row is in quarantine.
 */
extern bool dual_write_forward(RowState *state, CompiledRule *rule);
extern bool dual_write_backward(RowState *state, CompiledRule *rule);

#endif							/* TANDEM_DUAL_WRITE_H */
