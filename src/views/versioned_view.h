/*
 * versioned_view.h
 *		The views that show each release its own columns of a table: made,
 *		brought up to date, dropped.
 *
 * A view belongs to the owner of its table, whoever makes it: its text is what
 * that role has stored, and is read with the rights of no other.
 */
#ifndef TANDEM_VERSIONED_VIEW_H
#define TANDEM_VERSIONED_VIEW_H

#include "nodes/pg_list.h"

/*
 * Makes the view of a release over table relid in a schema that is there
 * (view_schema_ensure), or brings it up to date where it is: columns, owner,
 * privileges, comments.  The caller has locked the views of relid; to grants it
 * adds what view_schema_revoke is to take back.
 * One whose columns are right is not locked against readers.
 * Errors: the current user has not the rights of the table's owner; a view that
 * others build on must be made again; something else has its name.
 */
extern void versioned_view_make(int release, Oid relid, Oid schema,
								List **grants);

/*
 * Until the end of the transaction nobody else changes the views of the tables.
 * To be called before the tables are locked.
 */
extern void versioned_views_lock(List *relids);

/*
 * Replaces the views of the tables that read through what has been filled
 * since.  Locks a view only when there is something to do.
 */
extern void versioned_views_refresh(List *relids);

/* The views over the tables, as OIDs. */
extern List *versioned_views_of(List *relids);

/*
 * Errors: other objects are built on a view of the tables for a release below
 * retired, which contract is to drop.
 */
extern void versioned_views_check_retired(List *relids, int retired);

/*
 * After the phase of migration ending has changed, before its columns are
 * dropped: the views of the tables stop showing them, and those of releases
 * below retired are dropped (0: none), each schema with its last one.  The caller
 * has locked tables and views.
 * Errors: other objects are built on a view that must go.
 */
extern void versioned_views_end(List *relids, int ending, int retired);

#endif							/* TANDEM_VERSIONED_VIEW_H */
