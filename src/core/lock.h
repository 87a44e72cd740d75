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

/* The sessions that such an error of lock_relations names, for people. */
extern char *lock_blockers_of(const ErrorData *error);

/* A session named for people by its process id; NULL when it is gone. */
extern char *lock_describe_session(int pid);

/*
 * Queues for a lock, until the end of the transaction; false: it was not to be
 * had within timeout_ms.
 */
extern bool lock_wait(const LOCKTAG *tag, LOCKMODE mode, int timeout_ms);

/*
 * Queues behind a transaction: of a session "process/number", as pg_locks shows
 * it, or a prepared one, its xid.  Returns when it has ended, or after
 * timeout_ms.
 */
extern void lock_wait_for_transaction(const char *transaction, int timeout_ms);

/* A prepared transaction named for people; NULL when there is no such one. */
extern char *lock_describe_prepared(TransactionId xid);

/* Sleeps, ready for Ctrl-C. */
extern void interruptible_sleep(long ms);

#endif							/* TANDEM_LOCK_H */
