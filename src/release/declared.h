/*
 * declared.h
 *		Sessions that have declared their release.
 */
#ifndef TANDEM_DECLARED_H
#define TANDEM_DECLARED_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/* This session is of that release, for all to see, until it says otherwise. */
extern void declared_hold(int release);

/* Whether it has said so; it has taken that back. */
extern bool declared_is_held(void);
extern void declared_release(void);

/*
 * Sessions of releases older than the migration's that are in a transaction now
 * and have to do with relids: have written them since expand, have one locked,
 * or may use one, themselves, by a role they are a member of, or through a view;
 * and prepared transactions that hold locks on relids.  To be asked again with
 * declared_still_there.
 */
extern List *declared_transactions(const Migration *migration, List *relids);

/* Those of them that have not ended; their descriptions in *text. */
extern List *declared_still_there(List *transactions, char **text);

/* Process ids, as strings, of such sessions, in a transaction or not. */
extern List *declared_sessions_before(const Migration *migration,
									  List *relids);

/*
 * Other sessions that have declared just that release and may use relids, or
 * whatever they may use where that is NIL, for people; NULL: there is none.
 */
extern char *declared_users(int release, List *relids);

/*
 * Sessions that have declared nothing and have written a table of the migration
 * since expand, as lines for people.  may_wait: looks several times, for some
 * 200 ms, before it says so.
 */
extern List *declared_not(int migration_id, bool may_wait);

/* The other sessions of clients that have declared nothing. */
extern List *declared_not_others(int migration_id);

#endif							/* TANDEM_DECLARED_H */
