/*
 * equal_values.h
 *		Rows that UNIQUE would refuse with a new column: found by sorting its values.
 */
#ifndef TANDEM_EQUAL_VALUES_H
#define TANDEM_EQUAL_VALUES_H

#include "utils/resowner.h"

#include "review/rehearse_change.h"

typedef struct EqualValues EqualValues;

/*
 * Begins to sort the columns of a constraint, with those of the trial; rows are counted in
 * finding.  Returns NULL, and says why in not_tried, where they cannot be sorted.
 */
extern EqualValues *equal_values_begin(ChangeConstraint *constraint, const ChangeTrial *trial,
									   ChangeFinding *finding);

/*
 * Adds the row of a trial, maybe one of another leaf table.  Its files belong to owner.
 * key is what the finding shows of it.
 */
extern void equal_values_put(EqualValues *values, const ChangeTrial *trial,
							 ResourceOwner owner, const char *key);

/* Counts the rows that share their values with another one, and ends. */
extern void equal_values_count(EqualValues *values);

#endif							/* TANDEM_EQUAL_VALUES_H */
