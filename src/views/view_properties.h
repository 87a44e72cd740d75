/*
 * view_properties.h
 *		What the view of a release has besides columns and defaults:
 *		privileges and comments, which it takes over from its table, and
 *		options.
 */
#ifndef TANDEM_VIEW_PROPERTIES_H
#define TANDEM_VIEW_PROPERTIES_H

#include "nodes/pg_list.h"

typedef struct ViewProperties
{
	Oid			view;			/* InvalidOid if it is being made */
	Oid			table;
	List	   *from;			/* columns of the table, NULL for none, */
	List	   *names;			/* which the view has under these names */
	Oid			owner;			/* of both */
	List	   *taken;			/* see tandem.view */
} ViewProperties;

/*
 * Returns statements that give the view name (quoted) what its table has got
 * since they were last run, to be run as the owner, who needs USAGE on the
 * view's schema.  What was revoked on the view by hand, or written as a comment,
 * stays so.  *roles is set to the roles (quoted, or PUBLIC) that are granted
 * something.
 */
extern List *view_properties_new(const ViewProperties *properties,
								 const char *name, List **roles);

/* Returns statements that give the view name what the present view has. */
extern List *view_properties_own(const ViewProperties *properties,
								 const char *name);

/* Returns what the view has taken from its table after these statements. */
extern List *view_properties_taken(const ViewProperties *properties);

/*
 * Returns statements that grant the roles USAGE on the view's schema, to be run
 * as the owner of the schema.
 */
extern List *view_properties_of_schema(List *roles, Oid schema);

/*
 * Returns the options for CREATE VIEW: ours, and those that the present view
 * (InvalidOid for none) was given by hand; palloc'd.
 */
extern char *view_options(Oid view);

#endif							/* TANDEM_VIEW_PROPERTIES_H */
