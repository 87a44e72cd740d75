/*
 * columns.h
 *		Drops columns at the end of a migration, and finds what prevents
 *		that.
 */
#ifndef TANDEM_COLUMNS_H
#define TANDEM_COLUMNS_H

#include "nodes/pg_list.h"

/* A column of one table. */
typedef struct TableColumn
{
	Oid			relation;
	char	   *name;
} TableColumn;

/* Returns the tables of a list of TableColumn, one for each column, as OIDs. */
extern List *column_relations(List *columns);

/*
 * The functions below ask the catalogs in one query about all columns of a
 * list of TableColumn, however many partitions there are.  They return, in the
 * same order, a list of lines (char *) for each column, NIL if there are none.
 */

/*
 * Describes the objects that prevent a column from being dropped: views,
 * functions, policies, generated columns, foreign keys that refer to it, syncs
 * of migrations other than migration_id, also those that compute from it.
 * Waits for no lock: while another session has the table locked, syncs that
 * compute from it are left out.
 */
extern List *column_dependents(List *columns, int migration_id);

/*
 * Of these, those that no catalog of the server tells of: the syncs, steps and
 * columns of other migrations.
 */
extern List *column_migrations(List *columns, int migration_id);

/*
 * Describes the keys that cannot go with a column: primary key, replica
 * identity, partition key.
 */
extern List *column_keys(List *columns, int migration_id);

/*
 * Of these, the primary key and the replica identity, unless the migration has
 * added them: they were moved to the column during the migration.
 */
extern List *column_moved_keys(List *columns, int migration_id);

/*
 * Describes the objects that are dropped silently with a column: indexes, check
 * constraints, statistics, its sequence.
 */
extern List *column_objects_dropped_with(List *columns, int migration_id);

/*
 * Describes the functions that name a column: of triggers of its table, where
 * what is passed to them counts, too, and those that the table's own
 * expressions (constraints, indexes, defaults, policies, rules) call.
 */
extern List *column_naming_functions(List *columns, int migration_id);

/* Runs ALTER TABLE ... DROP COLUMN ... RESTRICT. */
extern void column_drop(Oid relid, const char *name);

#endif							/* TANDEM_COLUMNS_H */
