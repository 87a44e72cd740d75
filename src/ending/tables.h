/*
 * tables.h
 *		Tables that contract or abort drops as a whole.
 */
#ifndef TANDEM_ENDING_TABLES_H
#define TANDEM_ENDING_TABLES_H

#include "catalog/migration.h"

/*
 * Returns lines of what keeps the tables from being dropped: objects of others, tables
 * of which they are a part, views of the releases from first on, other open migrations.  aborting: abort has
 * dropped by then what else the migration has added.
 */
extern List *tables_obstacles(const Migration *migration, List *relids,
							  int first, bool aborting);

/* Throws an error that lists what keeps abort from dropping tables that it added. */
extern void tables_check_abort(const Migration *migration);

/* Returns lines of the rows that abort would drop with them. */
extern List *tables_losses(const Migration *migration);

/* Returns the tables that foreign keys of these refer to, which are locked with them. */
extern List *tables_referred_to(List *relids);

/*
 * Returns with which behavior these relations are dropped: "CASCADE" where nothing else
 * than what roles have made over them that may not use them depends on them, else
 * "RESTRICT".
 */
extern const char *drop_behavior(List *relids);

/*
 * Drops the tables, of one owner in one statement.  Their views have ended, and the
 * caller has seen that nothing else depends on them.  What roles have made over them
 * that may neither read nor write them goes, too.  search_path: for a caller who lacks
 * the rights of the owner, or NULL.
 */
extern void tables_drop(List *relids, const char *search_path);

#endif							/* TANDEM_ENDING_TABLES_H */
