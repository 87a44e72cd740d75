/*
 * added_column.h
 *		What a column that is added to a table will break: said at expand.
 */
#ifndef TANDEM_ADDED_COLUMN_H
#define TANDEM_ADDED_COLUMN_H

#include "utils/rel.h"

/*
 * Warns of functions that read, copy or return all columns of the table, as far
 * as their text tells.  Call before the table is locked.
 */
extern void added_column_warn_of_readers(Oid relid);

/*
 * Throws an error if the table can get no other column.  Warns if its rows may
 * be too wide for one of that type.  The table is locked.
 */
extern void added_column_check_room(Oid relid, const char *name, Oid type,
									int32 typmod);

#endif							/* TANDEM_ADDED_COLUMN_H */
