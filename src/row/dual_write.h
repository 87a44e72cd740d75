/*
 * dual_write.h
 *		Dual write: computes the other side of each rule for a row being
 *		written.
 */
#ifndef TANDEM_DUAL_WRITE_H
#define TANDEM_DUAL_WRITE_H

#include "row/row_state.h"

/*-------------------------------------------------------------------------
 * The dual-write rule.  See the table in src/row/README.md.
 *-------------------------------------------------------------------------
 */

/*
 * Returns false if no rule applies to the row: no column is given, and it
 * needs no fill.  Notes which columns are given.  If true, call row_state_load
 * with the same arguments next.
 */
extern bool dual_write_concerns(RowState *state, TupleTableSlot *row,
								TupleTableSlot *before, int stored_natts);

/*
 * Applies all rules to the loaded row, in both directions, until no rule
 * follows from another.  Afterwards state->first_replaced tells whether the
 * row has changed.  Errors: both sides were written and disagree; any error of
 * up or down, unless the rule quarantines rows.
 */
extern void dual_write_apply(RowState *state);

/*
 * The same for a row that other triggers have changed since dual_write_apply:
 * they write as no release.
 */
extern void dual_write_follow(RowState *state);

/*
 * Computes the new side of each rule that finds the loaded row unfilled, and
 * of the rule with id forced (0 for none), and then of the rules that depend
 * on these.  Returns the number of rules whose expression failed, with the row
 * put into quarantine.
 */
extern int	dual_write_fill(RowState *state, int forced);

/*
 * Do the two sides of the loaded row agree, by new = up(old) or old =
 * down(new)?
 */
extern bool dual_write_agrees(RowState *state, CompiledRule *rule);

/* Are all columns of the side that have an expression NULL in row? */
extern bool dual_write_side_is_null(const RowState *state, TupleTableSlot *row,
									const RuleSide *side);

/*
 * Could the row be in quarantine for the rule, by its values alone?  A side is
 * NULL.
 */
extern bool dual_write_looks_quarantined(const RowState *state,
										 const CompiledRule *rule,
										 TupleTableSlot *row);

/*
 * Is the loaded row in quarantine for the rule: is a side NULL because its
 * expression fails?  Such a row is noted again.
 */
extern bool dual_write_is_quarantined(RowState *state, CompiledRule *rule);

/*
 * Does up or down fail on the loaded row?  The rule must be one with
 * on_error => 'quarantine'; otherwise the error is thrown.
 */
extern bool dual_write_raises(RowState *state, CompiledRule *rule);

/*
 * Computes the new side from the old one, or the old side from the new one.
 * Returns false if the expression failed and the row was put into quarantine.
 */
extern bool dual_write_forward(RowState *state, CompiledRule *rule);
extern bool dual_write_backward(RowState *state, CompiledRule *rule);

#endif							/* TANDEM_DUAL_WRITE_H */
