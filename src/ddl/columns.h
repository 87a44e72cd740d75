/*
 * columns.h
 *		Dropping the columns at the end of a migration, and what forbids it.
 */
#ifndef TANDEM_COLUMNS_H
#define TANDEM_COLUMNS_H

#include "nodes/pg_list.h"

/*
 * What depends on column name of relid so that it cannot be dropped without
 * breaking something, as lines for people: views, functions, policies,
 * generated columns, foreign keys that point to it, syncs of migrations other
 * than migration_id.  NIL: nothing.  Locks nothing.
 */
extern List *column_dependents(Oid relid, const char *name, int migration_id);

/*
 * Keys that the column is part of, in an expression or a predicate too:
 * primary key, unique, exclusion, foreign key, replica identity, partition key.
 */
extern List *column_keys(Oid relid, const char *name, int migration_id);

/*
 * Of these the primary key and the replica identity, unless the migration has
 * added them: somebody has moved them to the column.
 */
extern List *column_moved_keys(Oid relid, const char *name, int migration_id);

/*
 * What would silently go with the column: indexes, check constraints,
 * statistics, its sequence.
 */
extern List *column_objects_dropped_with(Oid relid, const char *name,
										 int migration_id);

/* ALTER TABLE ... DROP COLUMN ... RESTRICT */
extern void column_drop(Oid relid, const char *name);

#endif							/* TANDEM_COLUMNS_H */
