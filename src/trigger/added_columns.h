/*
 * added_columns.h
 *		Columns that the expand transaction adds by a plain ALTER TABLE.
 *
 * They are the migration's, too, and abort drops them.  What belongs together
 * is in one transaction: the columns that a table of the migration gets there,
 * before and after the calls that name the table.
 */
#ifndef TANDEM_ADDED_COLUMNS_H
#define TANDEM_ADDED_COLUMNS_H

#include "nodes/parsenodes.h"

/*
 * Records the columns of relid, which a call of the migration has named, that
 * this transaction has added; and, by added_columns_follow, those that it is
 * still to add.  Those of a table that is new itself stay with it.  Returns true if
 * there are some, and the migration had none in this table before.
 */
extern bool added_columns_note(int migration_id, Oid relid);

/*
 * Records what a command of the user, which has just been run, has done to
 * columns that a migration has added, or adds in this transaction.
 */
extern void added_columns_follow(Node *statement);

#endif							/* TANDEM_ADDED_COLUMNS_H */
