/*
 * column_rename.h
 *		Gives columns their new names, at contract or later.
 */
#ifndef TANDEM_COLUMN_RENAME_H
#define TANDEM_COLUMN_RENAME_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Returns why the columns that contract of the migration renames cannot be renamed
 * yet, as lines: what other migrations have still to build, or to do, with them.
 */
extern List *column_rename_waits(const Migration *migration);

/*
 * Renames the columns of the migration, whose phase is done, and what names them in
 * rules of other migrations.  Those of tables that are published or subscribed stay
 * until tandem.take_names, which is said.  dropped: the columns (TableColumn) that are
 * about to be dropped; one that has a name which is wanted gets another.  The caller
 * has locked the tables.  Returns those with a column that was renamed: once the
 * others are dropped, the views of releases are to be brought up to date.
 */
extern List *column_rename_all(const Migration *migration, List *dropped);

/* Renames those that contract has left; the caller has locked the tables. */
extern void column_rename_left(const Migration *migration);

#endif							/* TANDEM_COLUMN_RENAME_H */
