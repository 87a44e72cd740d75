/*
 * column_moves.h
 *		What depends on a column that is changed, and is not carried over: statements
 *		at contract have it use the new column.
 */
#ifndef TANDEM_COLUMN_MOVES_H
#define TANDEM_COLUMN_MOVES_H

#include "catalog/migration.h"
#include "catalog/sync.h"

/* Tells what that is, in a WARNING with the calls of tandem.at_contract. */
extern void column_moves_warn(const Migration *migration, const SyncRule *rule);

/*
 * Throws an error that lists what no statement of the migration at contract names yet, of
 * all columns that it changes.
 */
extern void column_moves_check(const Migration *migration);

#endif							/* TANDEM_COLUMN_MOVES_H */
