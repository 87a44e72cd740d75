/*
 * session.h
 *		The registry as seen by a session, and the release it has declared.
 */
#ifndef TANDEM_SESSION_H
#define TANDEM_SESSION_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"
#include "catalog/registry.h"

/*
 * Returns the registry for this transaction, or NULL if the database does not
 * have pg_tandem, or is just getting it.  Call in a transaction.
 */
extern const Registry *registry_for_transaction(void);

/* Returns the current registry, never NULL.  Errors: there is none. */
extern const Registry *registry_or_error(void);

/*
 * Declares this session's release, visible to all, until it declares another
 * one.
 */
extern void session_declare_release(int release);

/*
 * session_has_declared tells whether this session has declared a release;
 * session_undeclare_release takes that back.
 */
extern bool session_has_declared(void);
extern void session_undeclare_release(void);

/*
 * Returns the transactions now open in sessions of releases older than the
 * migration's that use relids: that have written them since expand, have
 * locked one, or may use one, themselves, by membership in a role, or through
 * a view; and prepared transactions that hold locks on relids.  Check them
 * later with sessions_transactions_left.
 */
extern List *sessions_in_transaction_before(const Migration *migration,
											List *relids);

/* Returns those that have not ended, with their descriptions in *text. */
extern List *sessions_transactions_left(List *transactions, char **text);

/*
 * Returns the process ids, as strings, of such sessions, in a transaction or
 * not.
 */
extern List *sessions_before_release(const Migration *migration,
									 List *relids);

/*
 * Returns a description of other sessions that have declared exactly that
 * release and may use relids (NIL for any table), or NULL if there is none.
 */
extern char *sessions_using_release(int release, List *relids);

/*
 * Returns descriptions of sessions that have declared no release and have
 * written a table of the migration since expand.  With may_wait, it looks
 * several times, for about 200 ms, before it reports any.
 */
extern List *sessions_undeclared_writers(int migration_id, bool may_wait);

/*
 * Returns descriptions of the other client sessions without a declared
 * release.
 */
extern List *sessions_undeclared_others(int migration_id);

/*
 * Call in a session that has preloaded the library, or in the server if that
 * preloads it for all sessions; sessions_not_fenced relies on it.
 */
extern void session_note_fenced(void);
extern void sessions_are_all_fenced(void);

/*
 * Returns the number of other client sessions of this database that are not
 * fenced, because they have not preloaded the library.
 */
extern int	sessions_not_fenced(void);

#endif							/* TANDEM_SESSION_H */
