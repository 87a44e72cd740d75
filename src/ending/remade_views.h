/*
 * remade_views.h
 *		Contract drops the views of users over columns that are changed, and makes them
 *		again.
 */
#ifndef TANDEM_REMADE_VIEWS_H
#define TANDEM_REMADE_VIEWS_H

#include "catalog/migration.h"
#include "catalog/sync.h"

/*
 * Returns lines of the views over changed columns, or over that of one rule (NULL: of all),
 * that cannot be made again: their text would be another one if it was read again, or
 * cannot be, or not with the new type.  To see that all are made, beside the old ones, and
 * taken back, without a lock that keeps anybody from reading or writing the views and
 * tables.  What another session changes in this moment is passed over.
 */
extern List *remade_views_unreadable(const Migration *migration, const SyncRule *rule);

/*
 * Returns lines of the views of the migration that cannot be made again: they compute
 * from a column that gets other values, and nobody has said that they go on to do so;
 * their text would be another one if it was read again; they are over one that is left
 * out.  What the catalogs know of is among column_dependents.  remade_views_check throws
 * an error that lists them; without rehearses, for when the tables are locked, what fails
 * with the new type is left to remade_views_make.
 */
extern List *remade_views_problems(const Migration *migration);
extern void remade_views_check(const Migration *migration, bool rehearses);

/* Has the user said that the view is dropped, and not made again? */
extern bool remade_view_is_left(const Migration *migration, Oid view);

/*
 * remade_views_begin is called before columns are renamed; remade_views_drop then drops
 * the views, before the columns go, and remade_views_make makes them again, once the
 * names are what they are to be.  All as the owners of the views; the tables and views
 * are locked.  Errors: those of the server; what the functions above list.
 */
typedef struct RemadeViews RemadeViews;

extern RemadeViews *remade_views_begin(const Migration *migration);
extern void remade_views_drop(RemadeViews *remade);
extern void remade_views_make(const RemadeViews *remade);

#endif							/* TANDEM_REMADE_VIEWS_H */
