/*
 * take_back.h
 *		Takes back constraints that were added and not validated.
 */
#ifndef TANDEM_TAKE_BACK_H
#define TANDEM_TAKE_BACK_H

#include "catalog/step.h"

/*
 * Drops what the step, a constraint or NOT NULL that is not done, has added and
 * not validated: it is enforced for rows that are written, and the step adds it
 * again.  Returns the tables from which it was dropped.  Errors: strong locks, as
 * for lock_relations; they last until the end of the transaction.
 */
extern List *take_back_constraint(const Step *step);

#endif							/* TANDEM_TAKE_BACK_H */
