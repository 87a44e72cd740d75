/*
 * cascade.h
 *		A key is changed with all columns that refer to it.
 */
#ifndef TANDEM_CASCADE_H
#define TANDEM_CASCADE_H

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "catalog/migration.h"
#include "catalog/sync.h"

/* Changes the column of such a call and those that refer to it, in one transaction. */
extern void cascade_change(FunctionCallInfo fcinfo, Migration *migration);

/*
 * Returns lines of the foreign keys that refer to a column from columns that the migration
 * does not change and that have not the type of its twin, if that exists.
 */
extern List *cascade_lines_left(const Migration *migration, Oid relid, const char *column);

/* Throws an error if a column that refers to one that the migration changes is not changed. */
extern void cascade_check_complete(const Migration *migration);

#endif							/* TANDEM_CASCADE_H */
