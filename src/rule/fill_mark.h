/*
 * fill_mark.h
 *		Determines whether a row has been given its new columns.
 *
 * A stored row with fewer columns than the new column's number was written
 * before that column was added, so it is unfilled; longer rows were written
 * under the sync.  This test is exact while the table's file is the one that
 * was there when column and sync were added in one transaction.  A rewrite
 * (VACUUM FULL, CLUSTER, restore) makes all rows full length.  From then on a
 * row counts as unfilled if all its new columns are NULL or at their default.
 *
 * The fill marks of a sync (column origin of tandem.sync) list the files for
 * which the exact test holds, each with the trigger that maintains it:
 * "<system identifier>/<database>/<file>:<trigger>,<file>:<trigger>...", or ""
 * for none.  A partition that was detached and attached again, or a trigger
 * that was dropped and created again, may have missed writes; it has another
 * trigger OID then.
 *
 * When all rows of a table have been filled, its entry becomes "*:<trigger>":
 * no row is unfilled while that trigger is in force, in whatever file, and
 * whatever is written to it.  The same holds for a partition that was empty
 * when it got its trigger later than the others.  That is recorded in
 * tandem.filled_leaf, because a new mark would replace the triggers of all
 * other partitions.
 */
#ifndef TANDEM_FILL_MARK_H
#define TANDEM_FILL_MARK_H

#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * fill_mark_make returns the fill marks of a sync that is being created over
 * new_columns (a list of names) of relids (leaf tables, locked against
 * writers), still without triggers.  fill_mark_bind adds the triggers once
 * they exist.  Both return palloc'd text.
 */
extern char *fill_mark_make(List *relids, List *new_columns);
extern char *fill_mark_bind(const char *marks, List *relids);

/*
 * Returns the fill marks of a sync whose relids (leaf tables) are all filled.
 */
extern char *fill_mark_filled(List *relids);

/* Do the marks already say that all relids (leaf tables) are filled? */
extern bool fill_mark_is_filled(const SyncRule *rule, List *relids);

/*
 * Records that rel, a leaf table locked against writers, has no row for the
 * rule to fill, if it has no blocks.  Returns false if it has.
 */
extern bool fill_mark_note_empty(const SyncRule *rule, Relation rel,
								 Oid trigger_oid);

/*
 * Does the exact test hold for rel with its trigger trigger_oid?  Only id and
 * fill_marks of the rule are used.
 */
extern bool fill_mark_is_exact(const SyncRule *rule, Relation rel,
							   Oid trigger_oid);

/*
 * Do the marks say that no row of rel is unfilled, while trigger_oid is its
 * trigger?
 */
extern bool fill_mark_leaf_is_filled(const SyncRule *rule, Relation rel,
									 Oid trigger_oid);

/* Was the column added by this transaction, not just altered by it? */
extern bool fill_mark_column_is_new(Oid relid, const char *column);

/*
 * Returns text that identifies the table's file among all clusters and
 * databases.
 */
extern char *fill_mark_file(Relation rel);

#endif							/* TANDEM_FILL_MARK_H */
