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
 * view_schema_ensure), or updates it: columns, owner, privileges, comments.
 * The caller has locked the views of relid.  Adds to grants what
 * view_schema_revoke must take back.  A view whose columns are right is not
 * locked against readers.  Errors: the current user lacks the rights of the
 * table's owner; a view must be dropped and created again and other objects
 * depend on it; another object has its name.
 */
extern void versioned_view_make(int release, Oid relid, Oid schema,
								List **grants);

/*
 * Excludes changes of the tables' views by others until the end of the
 * transaction.  Call before the tables are locked.
 */
extern void versioned_views_lock(List *relids);

/*
 * Replaces views of the tables that read through columns which have been
 * filled since.  Locks a view only if it must be replaced.
 */
extern void versioned_views_refresh(List *relids);

/* Returns the views over the tables, as OIDs. */
extern List *versioned_views_of(List *relids);

/*
 * Throws an error if other objects depend on a view of the tables for a
 * release below retired, which contract is to drop.
 */
extern void versioned_views_check_retired(List *relids, int retired);

/*
 * Call after the phase of migration ending has changed and before its columns
 * are dropped.  The tables' views stop showing them.  Views of releases below
 * retired (0 for none) are dropped, and each schema with its last view.  The
 * caller has locked tables and views.  Errors: other objects depend on a view
 * to be dropped.
 */
extern void versioned_views_end(List *relids, int ending, int retired);

#endif							/* TANDEM_VERSIONED_VIEW_H */
