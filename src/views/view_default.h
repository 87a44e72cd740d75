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

/*
 * Gives each column of the view that merely shows a column of table its
 * default, and the others none: through them nothing can be written.  Runs no
 * code of a user.  Locks the view only against other DDL, and only if a default
 * differs: clients that hold the view may be waiting for the table, which the
 * caller may have locked.  Errors: the lock is not available at once.
 */
extern void view_defaults_follow(Oid view, Relation table);

/* Takes all defaults from the view, which the caller has locked. */
extern void view_defaults_remove(Oid view);

#endif							/* TANDEM_VIEW_DEFAULT_H */
