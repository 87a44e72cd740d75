/*
 * constraint_hint.h
 *		Where are the rows that violate a constraint?
 */
#ifndef TANDEM_CONSTRAINT_HINT_H
#define TANDEM_CONSTRAINT_HINT_H

#include "catalog/step.h"

/*
 * For people: how to find the rows that do not satisfy the constraint or NOT
 * NULL of step.
 */
extern char *constraint_violation_hint(const Step *step);

#endif							/* TANDEM_CONSTRAINT_HINT_H */
