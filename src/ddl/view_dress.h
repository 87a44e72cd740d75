/*
 * view_dress.h
 *		What the view of a release takes over from its table beside columns:
 *		privileges and comments.
 */
#ifndef TANDEM_VIEW_DRESS_H
#define TANDEM_VIEW_DRESS_H

#include "nodes/pg_list.h"

/*
 * Statements that give the view called name (quoted), with owner owner, what
 * source has of privileges and comments: of the relation itself, and of its
 * columns in from, which the view calls as in names (NULL: comes from no
 * column).  source is the table, or an earlier view in its place.  To be run as
 * owner, who may use the schema of the view.
 */
extern List *view_dress(Oid source, List *from, List *names, Oid owner,
						const char *name);

/*
 * Statements that let the same roles use the schema of the view: to be run as
 * the owner of the schema.
 */
extern List *view_dress_schema(Oid source, List *from, List *names, Oid owner,
							   Oid schema);

#endif							/* TANDEM_VIEW_DRESS_H */
