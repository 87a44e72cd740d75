/*
 * column_operation.h
 *		What the operations on a column have in common.
 */
#ifndef TANDEM_COLUMN_OPERATION_H
#define TANDEM_COLUMN_OPERATION_H

#include "fmgr.h"

#include "catalog/migration.h"
#include "catalog/sync.h"

/* Throws an error unless the migration has a release; function is the call. */
extern void column_operation_check_release(const Migration *migration,
										   const char *function);

/*
 * Returns a rule of the migration over one column, from the arguments relation and
 * column_name of the call, its second and third.  The column is given by the name
 * that the release before knows.
 */
extern SyncRule *column_operation_rule(FunctionCallInfo fcinfo,
									   const Migration *migration);

/*
 * Throws an error unless the migration can be expanded, the table be synced, the
 * column of the rule exists, no other operation is on it that this one does not
 * follow, and no view that nodes may use shows it otherwise.
 */
extern void column_operation_check(const Migration *migration, const SyncRule *rule);

#endif							/* TANDEM_COLUMN_OPERATION_H */
