/*
 * rule_try.h
 *		Tries a new rule on a few rows, and warns of what it would do.
 */
#ifndef TANDEM_RULE_TRY_H
#define TANDEM_RULE_TRY_H

#include "catalog/sync.h"

/*
 * Evaluates up and down, as the owner of the table, on some rows that are
 * there, on a row of nulls and on a row of the columns' defaults.  Warns of an
 * old value that down does not give back, of a null in a NOT NULL column, and
 * of expressions that fail.  Leaves out what is volatile, and ends after some
 * milliseconds, whatever the expressions do.  The trigger is installed, and
 * the caller has locked the table and its partitions.
 */
extern void rule_try(const SyncRule *rule);

#endif							/* TANDEM_RULE_TRY_H */
