/*
 * release_view.h
 *		Which views show which release its columns: rows of tandem.view, and
 *		what the migrations say of them.
 */
#ifndef TANDEM_RELEASE_VIEW_H
#define TANDEM_RELEASE_VIEW_H

#include "nodes/pg_list.h"

typedef struct ReleaseView
{
	Oid			view;
	Oid			schema;			/* that it is in */
	int			release;
	Oid			relation;
	char	   *definition;		/* its SELECT, as it was made */
} ReleaseView;

/*
 * A schema that views of a release are in, over the tables of another one; a few
 * tables may have moved from there.
 */
typedef struct ViewSchema
{
	char	   *name;
	Oid			owner;
	int			release;
	Oid			tables_in;
} ViewSchema;

/* A table that a migration works on, or that a release has a view of. */
typedef struct ViewedTable
{
	Oid			relation;
	Oid			schema;
	Oid			owner;
	Oid			maker;			/* who created the migration, or has the
								 * schema of the view; InvalidOid: a role that
								 * is gone */
} ViewedTable;

/* release_<n>; palloc'd. */
extern char *release_view_schema(int release);

/*
 * Until the end of the transaction nobody else changes the views of relid.
 * Waits as long as the retry of a strong lock does.  Errors: not to be had.
 */
extern void release_view_lock(Oid relid);

/*
 * The same for the schemas of a release, which two sessions may want to make, or
 * to let a role into; before any lock on the views of a table.
 */
extern void release_view_lock_schema(int release);

/* The views of relid that are there, by release; and the one of release, or NULL. */
extern List *release_view_list(Oid relid);
extern ReleaseView *release_view_find(Oid relid, int release);

/*
 * Releases in whose schemas the owners of the tables relids have views that they
 * may not make again without being granted something, in ascending order.
 */
extern List *release_view_closed(List *relids);

/* Notes the view in place of what was noted of its relation and release. */
extern void release_view_note(const ReleaseView *view);
extern void release_view_forget(Oid view);

/* Schemas that have views that are there, the newest release first. */
extern List *release_view_schemas(void);

/*
 * Tables with a sync or a column of a migration that was not aborted, that of
 * the first migration first, then those with a view for release: ViewedTable, one
 * for each table and maker.
 */
extern List *release_view_tables(int release);

/*
 * Names of columns of relid that the release does not see: new ones of later
 * releases, and old ones of its own and earlier.  Those that the end of
 * migration ending is about to drop nobody sees; 0: none ends.
 */
extern List *release_view_hidden(Oid relid, int release, int ending);

/* A migration of a later release of relid that has ended, by name, or NULL. */
extern char *release_view_retired_by(Oid relid, int release);

#endif							/* TANDEM_RELEASE_VIEW_H */
