/*
 * user_views.h
 *		Views of users over columns that are changed, and what they do with these.
 */
#ifndef TANDEM_USER_VIEWS_H
#define TANDEM_USER_VIEWS_H

#include "catalog/migration.h"
#include "catalog/sync.h"

typedef struct UserView
{
	Oid			view;
	Oid			owner;
	bool		by_value;		/* of columns that get other values it does
								 * more than to show them, or write what it is
								 * given */
} UserView;

/* Columns by their numbers, which stay when they are renamed. */
typedef struct ChangedColumns
{
	const Migration *migration; /* that changes them */
	bool		chained;		/* is one to be what an open migration of an
								 * earlier release changes another into? */
	List	   *all;			/* of ChangedColumn, see user_views.c */
	List	   *valued;			/* those that get other values than the same
								 * cast */
} ChangedColumns;

/*
 * Returns the columns that a migration changes, in partitions, too, and those that open
 * migrations of earlier releases change into them.
 */
extern ChangedColumns changed_columns_of_migration(const Migration *migration);

/*
 * Returns the views over columns, and those over them, of UserView, a view after those
 * that it reads; and the same of the column that one rule changes.  Locks them in ACCESS
 * SHARE mode at most.
 */
extern List *user_views_of_columns(const ChangedColumns *columns);
extern List *user_views_of_rule(const Migration *migration, const SyncRule *rule);

/* Returns what a view is noted as in tandem.operation, in given, with its schema; palloc'd. */
extern char *user_view_given(Oid view);

/* Is one of these operations, which carry or leave what stands on a column, about the view? */
extern bool user_view_is_noted(List *operations, Oid view);

/* Returns the OIDs of views. */
extern List *user_views_oids(List *views);

/* Returns the OIDs of all views over columns that a migration changes. */
extern List *user_views_of_migration(const Migration *migration);

#endif							/* TANDEM_USER_VIEWS_H */
