/*
 * held_rows.h
 *		Rows of the catalogs that other transactions have changed and not committed.
 */
#ifndef TANDEM_HELD_ROWS_H
#define TANDEM_HELD_ROWS_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Throws an error that names the sessions, 55P03, if one has changed, in a transaction that
 * is still open, a row that the end of the migration changes, too: of these relations and
 * their columns, types and indexes, or of these functions.  No lock of a relation tells of
 * such: GRANT and CREATE OR REPLACE FUNCTION take none that last.
 */
extern void held_rows_check(const Migration *migration, List *relids, List *functions);

#endif							/* TANDEM_HELD_ROWS_H */
