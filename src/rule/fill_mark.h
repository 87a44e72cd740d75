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
 * The origin of a sync lists the files for which the exact rule holds, each
 * with the trigger that has kept it so: "<system identifier>/<database>/
 * <file>:<trigger>,<file>:<trigger>...", or "" for none.  A partition detached
 * and attached again, or a trigger dropped and made again, may have missed
 * writes, and has another trigger.
 *
 * When all rows of a table have been filled its entry becomes "*:<trigger>":
 * as long as that trigger keeps it so no row is unfilled any more, whatever
 * file it is in and whatever a writer puts there.  The same holds for a
 * partition that was empty when it got its trigger, later than the others: it is
 * noted in tandem.filled_leaf, since nobody may replace the triggers of all
 * others for it.
 */
#ifndef TANDEM_FILL_MARK_H
#define TANDEM_FILL_MARK_H

#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * The origin of a sync now being made over the columns new_columns (names) of
 * the relations relids (leaf tables, locked against writers), still without
 * the triggers; and with them, when they are there.
 */
extern char *fill_mark_make(List *relids, List *new_columns);
extern char *fill_mark_bind(const char *marks, List *relids);

/* The origin of a sync all of whose relids (leaf tables) have been filled. */
extern char *fill_mark_filled(List *relids);

/* Whether the triggers of all relids (leaf tables) know that already. */
extern bool fill_mark_is_filled(const SyncRule *rule, List *relids);

/*
 * Notes that rel, a leaf table that nobody else can write, has no row for the
 * rule to fill, if that is so: it has no block.  False: it has.
 */
extern bool fill_mark_note_empty(const SyncRule *rule, Relation rel,
								 Oid trigger_oid);

/*
 * Whether the exact rule holds for rel, under its trigger trigger_oid.  Of the
 * rule only id and origin are looked at.
 */
extern bool fill_mark_is_exact(const SyncRule *rule, Relation rel,
							   Oid trigger_oid);

/* Whether this transaction added the column (not merely altered it). */
extern bool fill_mark_column_is_new(Oid relid, const char *column);

/* The file of the table, told from those of any other cluster or database. */
extern char *fill_mark_file(Relation rel);

#endif							/* TANDEM_FILL_MARK_H */
