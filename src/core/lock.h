/*
 * lock.h
 *		Strong locks on tables, taken so that nobody waits long behind us.
 */
#ifndef TANDEM_LOCK_H
#define TANDEM_LOCK_H

#include "nodes/pg_list.h"
#include "storage/lock.h"

/*
 * Locks every relation of the OID list in mode, all or none, until the end of
 * the transaction.  No queue forms behind it for longer than
 * tandem.lock_timeout: after that all are let go and tried again, later and
 * later.  After tandem.lock_retry_time: ERRCODE_LOCK_NOT_AVAILABLE, naming
 * the sessions in the way.  Order: ascending OID, so that two callers never
 * deadlock.
 */
extern void lock_relations(List *relids, LOCKMODE mode);

/*
 * Whether this process has the relation locked, in whatever mode.  Then a
 * weaker lock is had at once, ahead of who waits for a stronger one; but not
 * when it is tried for without waiting: that fails because of those.
 */
extern bool lock_is_ours(Oid relid);

/* The sessions that hold a lock against mode, as text for people. */
extern char *lock_describe_tag_holders(const LOCKTAG *tag, LOCKMODE mode);

/*
 * The sessions that the last error of lock_relations in this process names, as
 * marks: see lock_session_mark.
 */
extern char *lock_blockers_of(const ErrorData *error);

/*
 * A session named for people by its process id; NULL when it is gone.  Of one
 * that pg_stat_activity would not show to the current user it tells the process
 * and the user alone.
 */
extern char *lock_describe_session(int pid);

/*
 * What is noted for others to read has a mark in place of a session or a
 * prepared transaction, which is described to whoever reads it.
 */
extern char *lock_session_mark(int pid);
extern char *lock_prepared_mark(TransactionId xid);

/* The one or the other of these, of a transaction. */
extern char *lock_transaction_mark(TransactionId xid);

/* The text with each mark described to the current user, palloc'd. */
extern char *lock_describe_marks(const char *marked);

/*
 * A standby has none of the modes that keep writers apart: an error that says
 * where to call, before the server's own, which speaks of lock modes.
 */
extern void lock_refuse_standby(LOCKMODE mode);

/*
 * Queues for a lock, until the end of the transaction; false: it was not to be
 * had within timeout_ms.
 */
extern bool lock_wait(const LOCKTAG *tag, LOCKMODE mode, int timeout_ms);

/*
 * Calls work(arg) in a subtransaction in which no wait for a lock lasts longer
 * than timeout_ms; returns its error, as subtransaction_try does, or NULL.
 */
extern ErrorData *lock_limited_try(void (*work) (void *), void *arg,
								   int timeout_ms);

/*
 * tandem.lock_retry_time in ms, for a wait that is not in tries; at least
 * tandem.lock_timeout, which is how long a single try lasts.
 */
extern int	lock_retry_ms(void);

/*
 * Queues behind a transaction: of a session "process/number", as pg_locks shows
 * it, or a prepared one, its xid.  Returns when it has ended, or after
 * timeout_ms.
 */
extern void lock_wait_for_transaction(const char *transaction, int timeout_ms);

/* A transaction that runs or is prepared, named for people. */
extern char *lock_describe_transaction(TransactionId xid);

/* A prepared transaction named for people; NULL when there is no such one. */
extern char *lock_describe_prepared(TransactionId xid);

/* Sleeps, ready for Ctrl-C. */
extern void interruptible_sleep(long ms);

#endif							/* TANDEM_LOCK_H */
