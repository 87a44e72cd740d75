/*
 * view_default.h
 *		Gives the views of releases the defaults of their table's columns.
 *
 * The server puts the default of a view where a statement through it says
 * DEFAULT: NULL, if the view has none (an INSERT then gets the table's).
 */
#ifndef TANDEM_VIEW_DEFAULT_H
#define TANDEM_VIEW_DEFAULT_H

#include "utils/rel.h"

#include "catalog/release_view.h"

/* A default that was set or dropped by hand. */
typedef struct OwnDefault
{
	char	   *column;			/* of the view */
	Node	   *expression;		/* NULL for none */
} OwnDefault;

/* Returns those of the view, as they are now: a list of OwnDefault. */
extern List *view_defaults_own(const ReleaseView *view);

/*
 * Gives each column of the view that merely shows a column of table its
 * default, and the others none: through them nothing can be written.  Columns
 * in own have that one instead; returns the names of those that could get it:
 * it must be of the column's type.  Runs no code of a user.  Locks the view
 * only against other DDL, and only if a default differs: clients that hold the
 * view may be waiting for the table, which the caller may have locked.  Errors:
 * the lock is not available at once.
 */
extern List *view_defaults_follow(Oid view, Relation table, List *own);

/*
 * Returns the names of the columns of the view whose defaults are not those of
 * its table, now that somebody has altered the view: of these columns, the
 * others are as they were noted.
 */
extern List *view_defaults_altered(const ReleaseView *view, List *columns);

/* Takes all defaults from the view, which the caller has locked. */
extern void view_defaults_remove(Oid view);

#endif							/* TANDEM_VIEW_DEFAULT_H */
