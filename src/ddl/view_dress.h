/*
 * view_dress.h
 *		What the view of a release takes over from its table beside columns:
 *		privileges and comments.
 */
#ifndef TANDEM_VIEW_DRESS_H
#define TANDEM_VIEW_DRESS_H

#include "nodes/pg_list.h"

/*
 * Statements that give the view called name (quoted) in schema (quoted), with
 * owner owner, what source has of privileges and comments: of the relation
 * itself, and of its columns in from, which the view calls as in names (NULL:
 * comes from no column).  source is the table, or an earlier view in its place.
 */
extern List *view_dress(Oid source, List *from, List *names, Oid owner,
						const char *name, const char *schema);

#endif							/* TANDEM_VIEW_DRESS_H */
