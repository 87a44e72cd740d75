/*
 * release_view.h
 *		The views of releases: rows of tandem.view, and which columns they
 *		show.
 */
#ifndef TANDEM_RELEASE_VIEW_H
#define TANDEM_RELEASE_VIEW_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

typedef struct ReleaseView
{
	Oid			view;
	Oid			schema;			/* schema of the view */
	int			release;
	Oid			relation;		/* the view itself, where its table is gone,
								 * or it is the base of what is left of
								 * another */
	char	   *definition;		/* its SELECT, as created */
	List	   *columns;		/* names of its columns */
	bool		ended;			/* its release has ended: the view only raises
								 * an error */
	List	   *taken;			/* privileges and comments that it has taken
								 * from its table */
	List	   *own_defaults;	/* names of its columns whose default was set
								 * by hand */
} ReleaseView;

/*
 * A schema of a release's views over the tables of another schema.  Some
 * tables may have been moved out of that since.
 */
typedef struct ViewSchema
{
	char	   *name;
	Oid			owner;
	int			release;
	Oid			tables_in;
} ViewSchema;

/*
 * Are the columns of the release's views to stay as they are?  Not as long as
 * no session may work as that release and none says that it does: then its
 * shape is still being made.
 */
extern bool release_view_is_fixed(int release);

/*
 * The same, but of a database that knows of no release: there a migration that
 * ends may take its columns from the views.
 */
extern bool release_view_is_served(int release);

/* A table that a migration works on, or of which a release has a view. */
typedef struct ViewedTable
{
	Oid			relation;
	Oid			schema;
	Oid			owner;
	Oid			maker;			/* creator of the migration, or owner of the
								 * view's schema; InvalidOid if dropped */
} ViewedTable;

/* Returns the name of the schema of release n, release_<n>, palloc'd. */
extern char *release_view_schema(int release);

/*
 * Excludes other changes of the views of relid until the end of the
 * transaction.  Waits up to tandem.lock_retry_time.  Errors: the lock was not
 * granted by then.
 */
extern void release_view_lock(Oid relid);

/*
 * The same for the schemas of a release, which two sessions may want to
 * create, or to grant to a role.  Take it before any lock on the views of a
 * table.  Nor does the prefix of the names of schemas change until then.
 */
extern void release_view_lock_schema(int release);

/*
 * Until the end of the transaction, excludes changing that prefix
 * (ExclusiveLock) while views are created (ShareLock), and the other way
 * around.  Errors: as for release_view_lock.
 */
extern void release_view_lock_prefix(LOCKMODE mode);

/* Does any release have a view? */
extern bool release_view_exists(void);

/*
 * release_view_list returns the existing views of relid by release;
 * release_view_find returns that of one release, or NULL.  Both return what is
 * left of an ended release, too.  release_view_of_releases returns those of all
 * tables, of the releases from first to last.
 */
extern List *release_view_list(Oid relid);
extern ReleaseView *release_view_find(Oid relid, int release);
extern List *release_view_of_releases(int first, int last);

/*
 * Returns the release that the abort of the migration has ended, or 0.  Call
 * after the phase has changed.
 */
extern int	release_view_aborted(int migration_id);

/*
 * Returns, in ascending order, the releases in whose schemas the owners of the
 * tables relids have views that they could not create again without a grant.
 */
extern List *release_view_closed(List *relids);

/*
 * Returns the release of a view over the table relid, or 0 if it is none of
 * ours.  Needs no privilege.  Cached for the session, so it can be called for
 * each statement; the first call for a view runs a query.
 */
extern int	release_view_release(Oid view, Oid relid);

/*
 * Returns the table if relid is a view of a release, else relid.  A script that
 * names tables without their schema, in a session that has the views of its
 * release first in its search_path, means the tables.
 */
extern Oid	release_view_table(Oid relid);

/* Records the view, replacing the record for its relation and release. */
extern void release_view_note(const ReleaseView *view);

/* Records the own_defaults of a view alone. */
extern void release_view_note_defaults(Oid view, List *own_defaults);

/*
 * Returns the view with this OID, or NULL if it is none of ours, or left of an
 * ended release.
 */
extern ReleaseView *release_view_get(Oid view);

/*
 * Of views that are left of ended releases: the table was dropped, and another
 * one may get its OID.
 */
extern void release_view_table_dropped(Oid relid);

/*
 * Returns the base that what is left of a view reads (see tombstone.c), or
 * InvalidOid.
 */
extern Oid	release_view_base(Oid view);

/* Deletes the record of a view. */
extern void release_view_forget(Oid view);

/* Returns the schemas with existing views, newest release first. */
extern List *release_view_schemas(void);

/*
 * Returns the tables on which a migration works that was not aborted, ordered by
 * the first migration, and then those with a view for release: a list of
 * ViewedTable, one per table and maker.
 */
extern List *release_view_tables(int release);

/*
 * Returns the permanent tables in a schema, in the same form, that are neither
 * partitions nor members of an extension; maker is InvalidOid.
 */
extern List *release_view_tables_in_schema(Oid schema);

/*
 * Returns those of the tables relids that the release cannot see, as it sees
 * another one under their name, which had it before; others: these, in the same
 * order.
 */
extern List *release_view_nameless(int release, List *relids, List **others);

/*
 * Returns the names of the columns of relid that the release does not see: new
 * ones of later releases, and old ones of its own and earlier ones.  Columns
 * that the end of migration ending (0 for none) is about to drop are hidden
 * from all.
 */
extern List *release_view_hidden(Oid relid, int release, int ending);

/*
 * Returns the name of an ended migration of relid for a later release, or
 * NULL.
 */
extern char *release_view_retired_by(Oid relid, int release);

#endif							/* TANDEM_RELEASE_VIEW_H */
