/*
 * versioned_view.h
 *		Creates, updates and drops the views that show a release its columns
 *		of a table.
 *
 * A view is owned by the owner of its table, in whatever session it is
 * created.  Its text contains what that role has stored, and is parsed only
 * with that role's rights.
 */
#ifndef TANDEM_VERSIONED_VIEW_H
#define TANDEM_VERSIONED_VIEW_H

#include "nodes/pg_list.h"

/*
 * Creates the view of a release over table relid in an existing schema (see
 * view_schema_ensure), or updates it: owner, defaults, privileges, comments.
 * Its columns stay the same in a release that is served; with refresh those
 * that the release sees besides are added at the end.  Of a release that nobody
 * can work as yet they become those that it sees, and what an ended release has
 * left is replaced.  The caller has locked the views of relid.  Adds to grants
 * what view_schema_revoke must take back.  A view whose columns are right is not
 * locked against readers.  Errors: the current user lacks the rights of the
 * table's owner; a view must be dropped and created again and other objects
 * depend on it; another object has its name; it was altered by hand.
 */
extern void versioned_view_make(int release, Oid relid, Oid schema,
								bool refresh, List **grants);

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

#endif							/* TANDEM_VERSIONED_VIEW_H */
