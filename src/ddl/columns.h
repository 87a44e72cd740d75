/*
 * columns.h
 *		Drops columns at the end of a migration, and finds what prevents
 *		that.
 */
#ifndef TANDEM_COLUMNS_H
#define TANDEM_COLUMNS_H

#include "nodes/pg_list.h"

/*
 * Returns descriptions of the objects that prevent column name of relid from
 * being dropped: views, functions, policies, generated columns, foreign keys
 * that refer to it, syncs of migrations other than migration_id, also those
 * that compute from it.  NIL if there are none.  Waits for no lock: while
 * another session has the table locked, syncs that compute from it are left
 * out.
 */
extern List *column_dependents(Oid relid, const char *name, int migration_id);

/*
 * Returns descriptions of the keys that cannot go with the column: primary key,
 * replica identity, partition key.
 */
extern List *column_keys(Oid relid, const char *name, int migration_id);

/*
 * Of these, returns the primary key and the replica identity, unless the
 * migration has added them: they were moved to the column during the
 * migration.
 */
extern List *column_moved_keys(Oid relid, const char *name, int migration_id);

/*
 * Returns descriptions of the objects that are dropped silently with the
 * column: indexes, check constraints, statistics, its sequence.
 */
extern List *column_objects_dropped_with(Oid relid, const char *name,
										 int migration_id);

/*
 * Returns descriptions of the functions that name the column: of triggers of
 * relid, where what is passed to them counts, too, and those that its own
 * expressions (constraints, indexes, defaults, policies, rules) call.
 */
extern List *column_naming_functions(Oid relid, const char *name);

/* Runs ALTER TABLE ... DROP COLUMN ... RESTRICT. */
extern void column_drop(Oid relid, const char *name);

#endif							/* TANDEM_COLUMNS_H */
