/*
 * finish.h
 *		What contract and abort have in common.
 */
#ifndef TANDEM_FINISH_H
#define TANDEM_FINISH_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"
#include "ddl/columns.h"

/* Throws an error if columns (of TableColumn) cannot be dropped. */
typedef void (*ColumnCheck) (const Migration *migration, List *dropped);

/* for column_dependents and the others in columns.h */
typedef List *(*ColumnLines) (List *columns, int migration_id);

/*
 * Adds a column (TableColumn) to a list of these, unless it is in it, or not in
 * the table any more.
 */
extern List *dropped_column_add(List *dropped, Oid relid, const char *name);

/* Returns the OIDs of all tables of the migration, with their partitions. */
extern List *finish_tables(const Migration *migration);

/*
 * Returns the columns of a list, each followed by those of the partitions of
 * its table.
 */
extern List *dropped_columns_of_trees(List *dropped);

/*
 * Returns the lines of all columns, also of partitions, each with its column
 * and table in front.
 */
extern List *dropped_column_lines(List *dropped, ColumnLines lines,
								  const Migration *migration);

/* Returns "- line\n- line", for a DETAIL. */
extern char *lines_as_list(List *lines);

/* Returns "dropped table.column, ..." for tandem.history, or NULL if none. */
extern char *dropped_columns_describe(List *dropped);

/*
 * Calls change, which alters the table.  If the current user lacks the rights
 * of the table's owner, for example as the database owner who aborts, switches
 * to that role, and to the search_path of expand.
 */
extern void finish_change_table(const Migration *migration, Oid relid,
								void (*change) (Oid relid, void *arg),
								void *arg);

/*
 * Returns the lines of what is dropped silently with the columns, for
 * finish_drop.
 */
extern List *finish_dropped_with(const Migration *migration, List *dropped);

/*
 * What is done in one try under locks.  look_up (or NULL) is called before, so
 * that nobody waits for it.
 */
typedef struct WorkUnderLocks
{
	void		(*look_up) (const Migration *migration, void *arg);
	void		(*work) (Migration *migration, void *arg);
	void	   *arg;
} WorkUnderLocks;

/*
 * Locks all tables of the migration, their partitions, the views of releases
 * over them, and the relations others, in ACCESS EXCLUSIVE mode, and does the
 * work with a copy of the migration.  What work waits for then it gets within
 * tandem.lock_timeout, or all is undone, the locks too, and tried again, for
 * tandem.lock_retry_time at most.
 */
extern void finish_under_locks(const Migration *migration, List *others,
							   const WorkUnderLocks *work);

/*
 * Called after the phase of the migration has changed.  Removes its syncs from
 * their tables, drops the columns, and deletes its records about rows.  Views
 * of releases stop showing the columns; views of retired releases are dropped.
 * objects: the lines of what goes with the columns, which it tells; functions: those of
 * compiled_functions, and names: of carried_names_to_take, at contract.  check (or NULL) is
 * called after statements of the user have run, before the columns are dropped.
 */
extern void finish_drop(const Migration *migration, List *dropped, List *objects,
						List *functions, List *names, ColumnCheck check);

#endif							/* TANDEM_FINISH_H */
