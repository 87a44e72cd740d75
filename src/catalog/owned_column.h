/*
 * owned_column.h
 *		The columns that a migration added: rows of tandem.owned_column.
 */
#ifndef TANDEM_OWNED_COLUMN_H
#define TANDEM_OWNED_COLUMN_H

#include "nodes/pg_list.h"

/* Notes that the migration added the column, which is there; twice is once. */
extern void owned_column_add(int migration_id, Oid relid, const char *column);

/*
 * The type that a column of the migration was added with, as format_type has
 * it with its schema; NULL: it did not add such a column.
 */
extern char *owned_column_type(int migration_id, Oid relid,
							   const char *column);

/* A type as it is kept there. */
extern char *owned_column_type_text(Oid type, int32 typmod);

/* Names of the columns of relid that the migration added and are there. */
extern List *owned_column_list(int migration_id, Oid relid);

#endif							/* TANDEM_OWNED_COLUMN_H */
