/*
 * view_parts.h
 *		What a view of a user is, to make it again: statements and privileges.
 */
#ifndef TANDEM_VIEW_PARTS_H
#define TANDEM_VIEW_PARTS_H

#include "nodes/pg_list.h"

typedef struct ViewStatement
{
	Oid			view;
	int			step;			/* VIEW_BEFORE_DROP, or of those that make it */
	char	   *text;			/* with all names qualified */
	char	   *search_path;	/* for operators that cannot be */
} ViewStatement;

/* This is run before any of the views is dropped. */
#define VIEW_BEFORE_DROP	0

/* These make the view itself, defaults of its columns, and its rules and triggers. */
#define VIEW_ITSELF			1
#define VIEW_DEFAULT		2
#define VIEW_RULE			3

/* This gives it other objects, which contract alone does. */
#define VIEW_OBJECT			5

/*
 * Returns the statements that make these views as they are, but for their privileges, in
 * the order in which they run: the views in that of the list.  Each is for the owner of
 * its view.
 */
extern List *view_statements(List *relids);

/* Returns the one that makes the view itself, with its text from behind the name. */
extern ViewStatement *view_statement_behind_name(Oid view);

/* Returns the query of a view, its defaults, rules and triggers, as text, palloc'd. */
extern char *view_definition_text(Oid view);

/*
 * Returns the privileges on a view, its columns and its type, with all grantors; and gives a view of
 * the same columns and the same owner these instead of those that it has.
 */
extern List *view_rights(Oid view);
extern void view_set_rights(Oid view, Oid owner, List *rights);

/*
 * Gives a column of a table or partition the privileges on another one, with all grantors, if there
 * are any.
 */
extern void column_copy_rights(Oid relid, AttrNumber from, AttrNumber to);

#endif							/* TANDEM_VIEW_PARTS_H */
