/*
 * fill_mark.h
 *		How a row tells whether anyone has given it its new columns.
 *
 * A stored row with fewer columns than the new column's number was written
 * before that column was there: it is unfilled, and every row as long as that
 * was written under the sync.  This is exact as long as the table's file is
 * the one that was there when column and sync were added in one transaction.
 * A rewrite (VACUUM FULL, CLUSTER, restore) makes all rows full length; from
 * then on a row is unfilled when all new columns are NULL or at their default.
 *
 * The origin of a sync lists the files for which the exact rule holds:
 * "<system identifier>/<database>/<file>,<file>...", or "" for none.
 */
#ifndef TANDEM_FILL_MARK_H
#define TANDEM_FILL_MARK_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * The origin of a sync now being made over the columns new_columns (names) of
 * the relations relids (leaf tables, locked against writers).
 */
extern char *fill_mark_origin(List *relids, List *new_columns);

/* Whether the exact rule holds for rel. */
extern bool fill_mark_is_exact(const char *origin, Relation rel);

/* Whether this transaction added the column (not merely altered it). */
extern bool fill_mark_column_is_new(Oid relid, const char *column);

/* The file of the table, told from those of any other cluster or database. */
extern char *fill_mark_file(Relation rel);

#endif							/* TANDEM_FILL_MARK_H */
