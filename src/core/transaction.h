/*
 * transaction.h
 *		Transactions of a procedure, subtransactions and snapshots.
 */
#ifndef TANDEM_TRANSACTION_H
#define TANDEM_TRANSACTION_H

/*
 * Commits the transaction of a procedure, or of a worker, that is connected to
 * SPI and may do so.  The next one begins at READ COMMITTED, whatever the
 * session's default is.  Memory and errors are as with SPI_commit.
 */
extern void transaction_commit(void);

/*
 * Calls is_over(arg) until it returns true: every every_ms, and whenever the
 * process's latch is set, as it is when a background worker that this process
 * has started ends.  Commits after the first call, before the rest, and from
 * then on after a call when the last commit is commit_every_ms ago: 0 for calls
 * that read catalogs or write.  What is_over allocates goes with the call.  The
 * caller has no snapshot.
 */
extern void transaction_poll(bool (*is_over) (void *), void *arg,
							 long every_ms, long commit_every_ms);

/*
 * Calls work(arg) in a subtransaction, which is committed, or rolled back when
 * it raises.  Returns the error, copied into the current memory context, or
 * NULL.
 */
extern ErrorData *subtransaction_try(void (*work) (void *), void *arg);

/*
 * The same, but always rolled back: nothing that work does lasts, no lock that
 * it takes either, only what it allocates.
 */
extern ErrorData *subtransaction_rehearse(void (*work) (void *), void *arg);

/*-------------------------------------------------------------------------
 * An active snapshot, wherever the server may need one.
 *
 * Only under one does the server fetch what a table or catalog keeps out of
 * line, and run a function, which planning and reading a literal may do, too.
 * A procedure that has committed and a worker have none.
 *-------------------------------------------------------------------------
 */

/* Pushes a snapshot of what is committed now; PopActiveSnapshot ends it. */
extern void snapshot_push_latest(void);

/* The same of what was there before this transaction changed anything. */
extern void snapshot_push_before(void);

/*
 * Sees to it that one is active until snapshot_leave, which is given the
 * result.  After an error the abort of the (sub)transaction does that.
 */
extern bool snapshot_enter(void);
extern void snapshot_leave(bool entered);

#endif							/* TANDEM_TRANSACTION_H */
