/*
 * user_views.h
 *		Views of users over columns that are changed: contract drops them, and makes
 *		them again.
 */
#ifndef TANDEM_USER_VIEWS_H
#define TANDEM_USER_VIEWS_H

#include "catalog/migration.h"
#include "catalog/sync.h"

typedef struct UserView
{
	Oid			view;
	Oid			owner;
	bool		by_value;		/* it does more with the column than to show it */
} UserView;

/*
 * Returns the views over the column that a rule changes, and those over them, of
 * UserView, a view after those that it reads.  Locks them in ACCESS SHARE mode at most.
 */
extern List *user_views_of_rule(const SyncRule *rule);

/* The same of all columns that the migration changes, as OIDs. */
extern List *user_views_of_migration(const Migration *migration);

/* The text of a view, palloc'd, without what it is called. */
extern char *user_view_definition(Oid view);

/*
 * Returns lines of the views of the migration that cannot be made again: they compute
 * from a column that gets other values, and nobody has said that they go on to do so;
 * their text would be another one if it was read again; they are over one that is left
 * out.  What the catalogs know of is among column_dependents.  user_views_check throws an
 * error that lists them.
 */
extern List *user_views_problems(const Migration *migration);
extern void user_views_check(const Migration *migration);

/*
 * user_views_begin is called before columns are renamed; user_views_drop then drops
 * the views, before the columns go, and user_views_make makes them again, once the
 * names are what they are to be.  All as the owners of the views; the tables and views
 * are locked.  Errors: those of the server.
 */
typedef struct RemadeViews RemadeViews;

extern RemadeViews *user_views_begin(const Migration *migration);
extern void user_views_drop(RemadeViews *remade);
extern void user_views_make(const RemadeViews *remade);

#endif							/* TANDEM_USER_VIEWS_H */
