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

#include "catalog/release_view.h"

/*
 * Creates the view of a release over table relid in an existing schema (see
 * view_schema_ensure), or updates it: owner, defaults, privileges, comments.
 * Where they are fixed (release_view_is_fixed) its columns stay the same; with
 * refresh those that the release sees besides are added at the end.  Else they
 * become those that it sees, and what an ended release has left is replaced.  The caller has locked the views of relid.  Adds to grants
 * what view_schema_revoke must take back.  A view whose columns are right is not
 * locked against readers.  Errors: the current user lacks the rights of the
 * table's owner; a view must be dropped and created again and other objects
 * depend on it; another object has its name; it was altered by hand.
 */
extern void versioned_view_make(int release, Oid relid, Oid schema,
								bool fixed, bool refresh, List **grants);

/*
 * Updates a view if its definition is not what it should be, as its release, or
 * migration ending (0 for none), leaves it.  The columns of a release that is
 * served stay.  Adds to grants what view_schema_revoke must take back.  Errors:
 * as for versioned_view_make.
 */
extern void versioned_view_refresh(ReleaseView *view, int ending, List **grants);

/*
 * Returns the columns of the table that migration ending takes from a view of
 * the release.
 */
extern List *versioned_view_columns_that_go(Oid relid, int release, int ending);

/*
 * Drops a view, locked by the caller, and its base if it is what is left of one.
 * Errors: other objects depend on it.
 */
extern void versioned_view_drop(const ReleaseView *view);

#endif							/* TANDEM_VERSIONED_VIEW_H */
