/*
 * finish.h
 *		What contract and abort have in common: taking syncs and columns away.
 */
#ifndef TANDEM_FINISH_H
#define TANDEM_FINISH_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/* A column to be dropped. */
typedef struct DoomedColumn
{
	Oid			relation;
	char	   *name;
} DoomedColumn;

/* Adds a column to the list unless it is there, or is gone from the table. */
extern List *doomed_add(List *doomed, Oid relid, const char *name);

/* column_dependents and the like in columns.h */
typedef List *(*ColumnLines) (Oid relid, const char *name, int migration_id);

/*
 * What they say of the columns, and of those of partitions, each line led by
 * the column and its table.
 */
extern List *doomed_lines(List *doomed, ColumnLines lines,
						  const Migration *migration);

/* Every table of the migration, partitions included, as OIDs. */
extern List *finish_tables(const Migration *migration);

/*
 * Locks every table of the migration in ACCESS EXCLUSIVE mode, partitions
 * included, the views of releases over them, and those of the OID list others,
 * as lock_relations does.
 */
extern void finish_lock_tables(const Migration *migration, List *others);

/*
 * Calls change, which alters the table: as its owner where the current user has
 * not the owner's rights, as the owner of the database has not who aborts.
 */
extern void finish_change_table(Oid relid,
								void (*change) (Oid relid, void *arg),
								void *arg);

/*
 * After the phase of the migration has changed: takes its syncs off their
 * tables, drops the columns, and removes what it kept of rows.  Views of releases stop
 * showing the columns; those of releases that are retired are dropped.
 */
extern void finish_drop(const Migration *migration, List *doomed);

/* "table.column, table.column" for tandem.history; NULL for none. */
extern char *doomed_describe(List *doomed);

/* Lines as "- line\n- line", for a detail. */
extern char *lines_as_list(List *lines);

#endif							/* TANDEM_FINISH_H */
