/*
 * lock.h
 *		Takes strong locks on tables without making others wait long.
 */
#ifndef TANDEM_LOCK_H
#define TANDEM_LOCK_H

#include "nodes/pg_list.h"
#include "storage/lock.h"

/*
 * Locks all relations of the OID list in mode until the end of the
 * transaction, or none.  Others do not queue behind it for longer than
 * tandem.lock_timeout: then all locks are released and tried again, with
 * growing pauses.  After tandem.lock_retry_time it throws
 * ERRCODE_LOCK_NOT_AVAILABLE and names the blocking sessions.  If the
 * transaction has locked out the writers of a table before, by whatever command,
 * others wait for it meanwhile: then it does so after two tandem.lock_timeout.
 * If a session in the way waits for this transaction it is never waited for:
 * what it waits for lasts until the end of the transaction, so it throws
 * ERRCODE_T_R_DEADLOCK_DETECTED at once.
 * From a lock that keeps writers out on, our queries of the transaction wait no
 * longer than that for anybody, either.  Locks are taken in ascending order of
 * OIDs, so that two callers are not in each other's way; what one try has missed is
 * taken first in the next one, since others have orders of their own, also where that
 * is one of the next call for the same relations.
 */
extern void lock_relations(List *relids, LOCKMODE mode);

/*
 * Until it is called with false, a wait of this process that makes a circle ends at
 * once, with an error.  The server looks for a deadlock once in each wait, after
 * deadlock_timeout, and who looks first fails: that is this process then, and no
 * client.
 */
extern void lock_give_way(bool gives);

/*
 * Does this process hold a lock on the relation in any mode?  Then a weaker
 * lock is granted at once, ahead of waiters for a stronger one, except to a
 * conditional request, which fails because of them.
 */
extern bool lock_is_ours(Oid relid);

/* Returns the sessions that hold a conflicting lock, as text, palloc'd. */
extern char *lock_describe_tag_holders(const LOCKTAG *tag, LOCKMODE mode);

/*
 * Returns the sessions named by the last error of lock_relations in this
 * process, as marks (see lock_session_mark), palloc'd; or the message of
 * another error.
 */
extern char *lock_blockers_of(const ErrorData *error);

/*
 * Returns a description of a session with this process id, palloc'd, or NULL
 * if it has ended.  If pg_stat_activity would not show the session to the
 * current user, it consists only of process id and user.
 */
extern char *lock_describe_session(int pid);

/*
 * Text stored for others contains marks in place of sessions and prepared
 * transactions.  They are replaced by descriptions for the role that reads it.
 */
extern char *lock_session_mark(int pid);
extern char *lock_prepared_mark(TransactionId xid);

/* Returns the mark of the session or prepared transaction with this xid. */
extern char *lock_transaction_mark(TransactionId xid);

/* Returns the text with all marks described for the current user, palloc'd. */
extern char *lock_describe_marks(const char *marked);

/*
 * Throws an error on a standby, which lacks the lock modes that exclude
 * writers.  It says where to call instead; the server's error would be about
 * lock modes.
 */
extern void lock_refuse_standby(LOCKMODE mode);

/*
 * Waits for a lock that lasts until the end of the transaction.  Returns false
 * if it was not granted within timeout_ms.
 */
extern bool lock_wait(const LOCKTAG *tag, LOCKMODE mode, int timeout_ms);

/*
 * Calls work(arg) in a subtransaction with lock_timeout set to timeout_ms.
 * Returns its error, as subtransaction_try does, or NULL.
 */
extern ErrorData *lock_limited_try(void (*work) (void *), void *arg,
								   int timeout_ms);

/*
 * Returns tandem.lock_retry_time in ms, for a single wait that is not retried;
 * at least tandem.lock_timeout, the length of one try.
 */
extern int	lock_retry_ms(void);

/*
 * Waits until a transaction ends, for at most timeout_ms.  It is given as
 * "process/number" (a virtual transaction id, as in pg_locks) for a session,
 * or as an xid for a prepared transaction.
 */
extern void lock_wait_for_transaction(const char *transaction, int timeout_ms);

/* Returns a description of a running or prepared transaction, palloc'd. */
extern char *lock_describe_transaction(TransactionId xid);

/*
 * Returns a description of a prepared transaction, palloc'd, or NULL if there
 * is none.
 */
extern char *lock_describe_prepared(TransactionId xid);

/* Sleeps, and can be interrupted. */
extern void interruptible_sleep(long ms);

/*
 * Returns the ms to sleep before the next try for a lock, and makes *pause, which
 * begins at 0, longer.  The time is random, so that two waiters do not stay in
 * step.
 */
extern long lock_next_pause(double *pause);

#endif							/* TANDEM_LOCK_H */
