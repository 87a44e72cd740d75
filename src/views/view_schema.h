/*
 * view_schema.h
 *		The schemas that versioned views are in.
 */
#ifndef TANDEM_VIEW_SCHEMA_H
#define TANDEM_VIEW_SCHEMA_H

#include "nodes/pg_list.h"

/*
 * For each table of relids its schema of views of a release, as names in the
 * same order: where the table has its view, or where others of its schema have
 * theirs.  Else one schema of tables, in every release the same one, has
 * release_<n>: the one that has it already; else public; else that of the first
 * table.  Tables of any other have <schema>__release_<n>.  The caller has
 * the schemas of the release locked (release_view_lock_schema).
 */
extern List *view_schema_choose(int release, List *relids);

/*-------------------------------------------------------------------------
 * The schemas that the views of releases are in.
 *
 * An application puts such a schema first in its search_path: whatever is in it
 * is found before anything else.  So it must belong to who makes the views,
 * nobody else may put anything into it, and nothing of others may be in it but
 * the views themselves.
 *
 * A view belongs to the owner of its table, a role that may not create anything
 * in the schema: it is granted that for the time in which the view is made.
 *-------------------------------------------------------------------------
 */

/*
 * Makes the schema as the current user, or checks the one that is there.
 * Errors: it belongs to a role that the current user has not been granted;
 * others may create objects in it; it holds objects of others.
 */
extern void view_schema_ensure(const char *name);

/*
 * Lets role use the schema, and with create make objects in it until
 * view_schema_revoke, which is called with what this adds to grants.  As the
 * owner of the schema.
 */
extern void view_schema_grant(List **grants, Oid schema, Oid role, bool create);

/*
 * Takes the right to create objects back.  Errors: such a role has used it for
 * anything but views of tandem.view.
 */
extern void view_schema_revoke(List *grants);

/*
 * Runs a statement without stored text as the owner of the schema; and a GRANT
 * or REVOKE on it.  That waits for another session that changes its privileges,
 * but not for longer than tandem.lock_timeout, since tables may be locked.
 */
extern void view_schema_run(Oid schema, const char *sql);
extern void view_schema_change_rights(Oid schema, const char *sql);

/* Drops the schema, whose last view has gone, unless something else is in it. */
extern void view_schema_drop_unused(Oid schema);

#endif							/* TANDEM_VIEW_SCHEMA_H */
