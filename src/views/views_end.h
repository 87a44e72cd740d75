/*
 * views_end.h
 *		The views of tables when the fill of a migration, the migration or a
 *		release has ended.
 */
#ifndef TANDEM_VIEWS_END_H
#define TANDEM_VIEWS_END_H

#include "catalog/release_view.h"

/*
 * Excludes changes of the tables' views by others until the end of the
 * transaction, and of those that end with release (0 for none).  Call before
 * the tables are locked.
 */
extern void versioned_views_lock(List *relids, int release);

/*
 * Replaces views of the tables that read through columns which have been
 * filled since.  Locks a view only if it must be replaced.
 */
extern void versioned_views_refresh(List *relids);

/*
 * Returns the views over the tables, as OIDs, and those up to release (0 for
 * none) that end with the release: see versioned_views_end.
 */
extern List *versioned_views_of(List *relids, int release);

/* What a view of a release that is served would lose. */
typedef struct ViewLoss
{
	const ReleaseView *view;
	List	   *columns;		/* of names */
} ViewLoss;

/*
 * Returns what contract of migration ending would take from the views of
 * releases that are served, from retired on; list of ViewLoss, palloc'd.
 */
extern List *versioned_views_that_lose(List *relids, int ending, int retired);

/* Returns the statement that makes the view again when it was dropped; palloc'd. */
extern char *versioned_view_call(const ReleaseView *view);

/*
 * Throws an error if contract of migration ending would take a column from the
 * views of a release that stays, or could not end those of a release below
 * retired.
 */
extern void versioned_views_check_end(List *relids, int ending, int retired);

/*
 * Call after the phase of migration ending has changed and before its columns
 * are dropped.  Views of releases below retired (0: aborted, which ends the
 * release if this was its last migration) only raise an error from then on (see
 * tombstone.h): those over the tables, and those over other tables of the same
 * owners or of roles granted to the caller.  The other views of the tables stop
 * showing the columns.  The caller has locked tables and views.  Errors: a later
 * release that is served shows one of the columns.
 */
extern void versioned_views_end(List *relids, int ending, int retired);

/*
 * Drops views (of ReleaseView), and their schemas once they are empty.  Errors:
 * other objects depend on one.
 */
extern void versioned_views_drop(List *views);

#endif							/* TANDEM_VIEWS_END_H */
