/*
 * renamed_column.h
 *		Columns that contract renames: until then only the views of releases show
 *		the new name.
 */
#ifndef TANDEM_RENAMED_COLUMN_H
#define TANDEM_RENAMED_COLUMN_H

#include "nodes/pg_list.h"

#include "catalog/sync.h"

/*
 * Returns the rules, in the order of their releases, that rename columns of relid
 * for the release, and whose new names the table itself has not got: those of open
 * migrations, and those that contract has left to tandem.take_names.  release 0
 * sees none.
 */
extern List *renamed_column_list(Oid relid, int release);

/* Returns the name under which these rules show a column of the table. */
extern char *renamed_column_shown(List *renames, char *column);

/* Returns the column that they show under a name, or NULL if they rename none to it. */
extern char *renamed_column_stored(List *renames, const char *name);

/*
 * Records that the column of the table has another name now, in all rules that
 * name it: those of open migrations, and those of renames left over.
 */
extern void renamed_column_follow(Oid relid, const char *column, const char *new_name);

#endif							/* TANDEM_RENAMED_COLUMN_H */
