/*
 * round_trip.h
 *		Does down give back the old value that up was computed from?
 */
#ifndef TANDEM_ROUND_TRIP_H
#define TANDEM_ROUND_TRIP_H

#include "row/row_state.h"

/*
 * Can this be told for the rule?  Not if it is one-way, and not if up or down
 * is volatile.
 */
extern bool round_trip_is_known(const CompiledRule *rule);

/* What the new side of the loaded row is. */
typedef enum NewSide
{
	NEW_SIDE_COMPUTED,			/* what up has just returned */
	NEW_SIDE_STORED				/* anything: up must be computed */
} NewSide;

/*
 * Is down(up(old)) another value than old, by the equality of each column's
 * type?  Old columns without an expression are never written, so they lose
 * nothing.  A down that fails counts as another value, an up that fails does
 * not.  With guarded, errors of up and down are caught, each time at the price
 * of a subtransaction; otherwise they are thrown.  The row stays as it is.
 */
extern bool round_trip_loses(RowState *state, CompiledRule *rule,
							 NewSide new_side, bool guarded);

/*
 * Returns the loaded row's old columns, the new ones that up makes of them,
 * and the old ones that down makes of these, for a message; palloc'd.  Errors:
 * those of up and down.  Afterwards load a row again.
 */
extern char *round_trip_describe(RowState *state, CompiledRule *rule);

/*
 * Do the columns of a side of the loaded row have the values that its
 * expressions give?  False unless there is one for each column.  guarded is as
 * above; after an error that was caught the answer is false.
 */
extern bool round_trip_side_holds(RowState *state, CompiledRule *rule,
								  RuleSide *side, bool guarded);

/*
 * Called when the last answer of round_trip_side_holds was true: are the values
 * the same bit by bit, not only equal?
 */
extern bool round_trip_side_is_exact(const RowState *state,
									 const RuleSide *side);

#endif							/* TANDEM_ROUND_TRIP_H */
