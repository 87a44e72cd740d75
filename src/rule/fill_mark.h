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
 * The fill marks of a sync (tandem.fill_mark) name the files for which the exact
 * test holds, each with the trigger that maintains it.  A partition that was
 * detached and attached again, or a trigger that was dropped and created again,
 * may have missed writes; it has another trigger OID then.
 *
 * When all rows of a table have been filled, its mark names no file: no row is
 * unfilled while that trigger is in force, in whatever file, and whatever is
 * written to it.  The same holds for a partition that was empty when it got its
 * trigger later than the others.
 *
 * A session reads the mark of a partition when it compiles its rules.
 */
#ifndef TANDEM_FILL_MARK_H
#define TANDEM_FILL_MARK_H

#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Returns those of relids (leaf tables, locked against writers) for which the
 * exact test will hold with a sync that is being created over new_columns (a
 * list of names).  Call it before the sync and its triggers exist.
 */
extern List *fill_mark_exact_tables(List *relids, List *new_columns);

/* Marks these tables, which have the triggers of the rule by now. */
extern void fill_mark_set_exact(const SyncRule *rule, List *relids);

/*
 * Marks relids (leaf tables, locked against writers) as filled, which makes all
 * sessions look again.
 */
extern void fill_mark_set_filled(const SyncRule *rule, List *relids);

/* Do the marks already say that all relids (leaf tables) are filled? */
extern bool fill_mark_is_filled(const SyncRule *rule, List *relids);

/*
 * Records that rel, a leaf table locked against writers, has no row for the
 * rule to fill, if it has no blocks.  Returns false if it has.
 */
extern bool fill_mark_note_empty(const SyncRule *rule, Relation rel,
								 Oid trigger_oid);

typedef enum Unfilled
{
	UNFILLED_UNKNOWN,			/* rows whose new columns are NULL or at their
								 * default */
	UNFILLED_SHORT,				/* rows that are too short: the exact test */
	UNFILLED_NONE				/* no row */
} Unfilled;

/*
 * Which rows of rel are unfilled, while trigger_oid is its trigger?  Only the id
 * of the rule is used.
 */
extern Unfilled fill_mark_unfilled(const SyncRule *rule, Relation rel,
								   Oid trigger_oid);

/* Was the column added by this transaction, not just altered by it? */
extern bool fill_mark_column_is_new(Oid relid, const char *column);

/*
 * Returns text that identifies the table's file among all clusters and
 * databases.
 */
extern char *fill_mark_file(Relation rel);

#endif							/* TANDEM_FILL_MARK_H */
