/*
 * owned_column.h
 *		The columns that a migration added: rows of tandem.owned_column.
 */
#ifndef TANDEM_OWNED_COLUMN_H
#define TANDEM_OWNED_COLUMN_H

#include "nodes/pg_list.h"

/* Notes that the migration added the column; twice is once. */
extern void owned_column_add(int migration_id, Oid relid, const char *column);

/* Names of the columns of relid that the migration added and are there. */
extern List *owned_column_list(int migration_id, Oid relid);

#endif							/* TANDEM_OWNED_COLUMN_H */
