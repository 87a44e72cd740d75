/*
 * held_rows.h
 *		Rows of the catalogs that other transactions have changed and not committed.
 */
#ifndef TANDEM_HELD_ROWS_H
#define TANDEM_HELD_ROWS_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Returns lines of the rows that sessions, which they name, have changed in transactions
 * that are still open: of these relations and their columns, types and indexes, or of these
 * functions.  No lock of a relation tells of such: GRANT and CREATE OR REPLACE FUNCTION take
 * none that last.  held_rows_check throws an error that lists them, 55P03.
 */
extern List *held_rows(List *relids, List *functions);
extern void held_rows_check(const Migration *migration, List *relids, List *functions);

#endif							/* TANDEM_HELD_ROWS_H */
