/*
 * view_schema.h
 *		Manages the schemas that contain the views of releases.
 */
#ifndef TANDEM_VIEW_SCHEMA_H
#define TANDEM_VIEW_SCHEMA_H

#include "nodes/pg_list.h"

/*
 * Returns the name of the schema for the view of each table of relids, in the
 * same order: the one that has a view of the table, or of other tables of its
 * schema.  Otherwise, one schema of tables has release_<n>, the same in all
 * releases: the one that has it already; else public; else that of the first
 * table.  Tables of other schemas have <schema>__release_<n>. The caller has
 * locked the schemas of the release (release_view_lock_schema).
 */
extern List *view_schema_choose(int release, List *relids);

/*-------------------------------------------------------------------------
 * The schemas that contain the views of releases.
 *
 * An application puts such a schema first in its search_path, so objects in it
 * are found before all others.  Therefore it must be owned by the role that
 * creates the views, no other role may create objects in it, and it must not
 * contain objects of other roles except the views.
 *
 * A view is owned by the owner of its table, which may not create objects in
 * the schema.  That role is granted CREATE while the view is created.
 *-------------------------------------------------------------------------
 */

/*
 * Creates the schema as the current user, or checks an existing one.  Errors:
 * it is owned by a role that was not granted to the current user; other roles
 * may create objects in it; it contains objects of other roles.
 */
extern void view_schema_ensure(const char *name);

/*
 * Grants role USAGE on the schema and, with create, CREATE until
 * view_schema_revoke is called with grants, to which this adds.  Done as the
 * owner of the schema.
 */
extern void view_schema_grant(List **grants, Oid schema, Oid role, bool create);

/*
 * Revokes CREATE again.  Errors: a role has used it for anything but views of
 * tandem.view.
 */
extern void view_schema_revoke(List *grants);

/*
 * view_schema_run runs a statement without stored text as the owner of the
 * schema; view_schema_change_rights runs a GRANT or REVOKE on it.  The latter
 * waits for another session that changes its privileges, but at most
 * tandem.lock_timeout, since tables may be locked.
 */
extern void view_schema_run(Oid schema, const char *sql);
extern void view_schema_change_rights(Oid schema, const char *sql);

/* Drops the schema after its last view, unless it contains other objects. */
extern void view_schema_drop_unused(Oid schema);

#endif							/* TANDEM_VIEW_SCHEMA_H */
