/*
 * transaction.h
 *		The transactions of a procedure that commits as it goes.
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

#endif							/* TANDEM_TRANSACTION_H */
