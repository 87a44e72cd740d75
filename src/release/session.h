/*
 * session.h
 *		The registry as a session sees it, and which release a session has
 *		declared.
 */
#ifndef TANDEM_SESSION_H
#define TANDEM_SESSION_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"
#include "catalog/registry.h"

/*
 * The registry for this transaction; NULL: the database has no pg_tandem, or is
 * getting it.
 * Called in a transaction.
 */
extern const Registry *registry_for_transaction(void);

/* The registry as it is now, never NULL.  Errors: there is none. */
extern const Registry *registry_or_error(void);

/* This session is of that release, for all to see, until it says otherwise. */
extern void session_declare_release(int release);

/* Whether it has said so; it has taken that back. */
extern bool session_has_declared(void);
extern void session_undeclare_release(void);

/*
 * Sessions of releases older than the migration's that are in a transaction now
 * and have to do with relids: have written them since expand, have one locked,
 * or may use one, themselves, by a role they are a member of, or through a view;
 * and prepared transactions that hold locks on relids.  To be asked again with
 * sessions_transactions_left.
 */
extern List *sessions_in_transaction_before(const Migration *migration,
											List *relids);

/* Those of them that have not ended; their descriptions in *text. */
extern List *sessions_transactions_left(List *transactions, char **text);

/* Process ids, as strings, of such sessions, in a transaction or not. */
extern List *sessions_before_release(const Migration *migration,
									 List *relids);

/*
 * Other sessions that have declared just that release and may use relids, or
 * whatever they may use where that is NIL, for people; NULL: there is none.
 */
extern char *sessions_using_release(int release, List *relids);

/*
 * Sessions that have declared nothing and have written a table of the migration
 * since expand, as lines for people.  may_wait: looks several times, for some
 * 200 ms, before it says so.
 */
extern List *sessions_undeclared_writers(int migration_id, bool may_wait);

/* The other sessions of clients that have declared nothing. */
extern List *sessions_undeclared_others(int migration_id);

#endif							/* TANDEM_SESSION_H */
