/*
 * absent_column.h
 *		What is stored in a column for a release that does not have it.
 */
#ifndef TANDEM_ABSENT_COLUMN_H
#define TANDEM_ABSENT_COLUMN_H

#include "utils/relcache.h"

#include "catalog/sync.h"

/*
 * Checks a rule that drops a column.  Errors: it has no down, and an INSERT that leaves
 * the column out fails, now or from the next one on, or once it is NOT NULL.
 */
extern void absent_column_check(const SyncRule *rule);

/*
 * Checks a rule of any kind on a table, of a migration with a release.  Errors: an INSERT that leaves out a column of its old or
 * new side fails for the domain of the column, though the rule computes it.
 */
extern void absent_column_check_domains(const SyncRule *rule, Relation rel);

#endif							/* TANDEM_ABSENT_COLUMN_H */
