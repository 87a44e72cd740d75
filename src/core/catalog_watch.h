/*
 * catalog_watch.h
 *		Has anything in the catalogs changed since it was looked up?
 */
#ifndef TANDEM_CATALOG_WATCH_H
#define TANDEM_CATALOG_WATCH_H

#include "nodes/pg_list.h"

/*
 * From now on notes what changes in the catalogs.  There is one watch in a
 * session: a later call forgets what was noted.
 */
extern void catalog_watch_begin(void);

/*
 * Returns true if nothing that follows has changed since catalog_watch_begin:
 * the tables (OIDs), with all that belongs to them, as columns, defaults,
 * constraints, indexes, triggers, policies, statistics, foreign keys from and
 * to them; any function, type, rule, view or sequence.  With the tables locked
 * that stays so, but for functions, types and what else nobody can lock.
 */
extern bool catalog_watch_is_quiet(List *tables);

/*
 * Returns true if besides no other relation has changed, which may have come to
 * depend on a column of theirs.
 */
extern bool catalog_watch_is_silent(void);

#endif							/* TANDEM_CATALOG_WATCH_H */
