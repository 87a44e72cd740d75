/*
 * change_column.h
 *		A column gets another type, or other values, under the same name.
 */
#ifndef TANDEM_CHANGE_COLUMN_H
#define TANDEM_CHANGE_COLUMN_H

#include "fmgr.h"

#include "catalog/migration.h"
#include "catalog/sync.h"

/* The arguments of tandem.change_column, by their number. */
typedef enum ChangeArgument
{
	CHANGE_MIGRATION,
	CHANGE_RELATION,
	CHANGE_COLUMN,
	CHANGE_TYPE,
	CHANGE_UP,
	CHANGE_DOWN,
	CHANGE_DEFAULT,
	CHANGE_NOT_NULL,
	CHANGE_ONE_WAY,
	CHANGE_ON_CONFLICT,
	CHANGE_ON_ERROR,
	CHANGE_CARRY,
	CHANGE_LEAVE,
	CHANGE_CASCADE,
	CHANGE_BARE_TABLE,
	CHANGE_ARGUMENTS
} ChangeArgument;

/*
 * Does what a call of tandem.change_column with these arguments does to the one column,
 * whatever it says of cascade.  of_cascade: the columns that refer to it are changed,
 * too; else it is an error if there are any that are not.  Returns the rule, of which
 * column_moves_warn is to be called once all columns are changed; NULL if it was there
 * before, or none is needed.
 */
extern SyncRule *change_one_column(FunctionCallInfo fcinfo, Migration *migration,
								   bool of_cascade);

/*
 * Errors: another migration has still to build what stands on the stored column, shown:
 * as it is called.
 */
extern void change_check_built(int migration_id, Oid relid, char *column, const char *shown);

#endif							/* TANDEM_CHANGE_COLUMN_H */
