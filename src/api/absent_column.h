/*
 * absent_column.h
 *		What is stored in a column for a release that does not have it.
 */
#ifndef TANDEM_ABSENT_COLUMN_H
#define TANDEM_ABSENT_COLUMN_H

#include "catalog/sync.h"

/*
 * Checks a rule that drops a column.  Errors: it has no down, and an INSERT that leaves
 * the column out fails, now or from the next one on, or once it is NOT NULL.
 */
extern void absent_column_check(const SyncRule *rule);

#endif							/* TANDEM_ABSENT_COLUMN_H */
