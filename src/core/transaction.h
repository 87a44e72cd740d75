/*
 * transaction.h
 *		Transactions of a procedure, subtransactions and snapshots.
 */
#ifndef TANDEM_TRANSACTION_H
#define TANDEM_TRANSACTION_H

/*
 * Commits the transaction of a procedure, or of a worker, that has a
 * non-atomic SPI connection.  The next transaction is READ COMMITTED, whatever
 * the session's default.  Memory and errors are as with SPI_commit.
 */
extern void transaction_commit(void);

/*
 * From the next transaction_commit on, its transactions do not wait for the disk,
 * until this is called with false.  A crash then loses the last of them, and of
 * those before none: whatever the server has written later comes after them in
 * the WAL.  The commit that tells of all to the caller is to wait.
 */
extern void transaction_commit_lazily(bool lazily);

/*
 * Calls is_over(arg) until it returns true, every every_ms and whenever the
 * process's latch is set, as it is when a background worker started by this
 * process ends.  Commits after the first call, before sleeping, and later
 * after a call if the last commit is commit_every_ms ago; pass 0 if the calls
 * read catalogs or write.  Memory that is_over allocates is freed after the
 * call.  The caller must have no snapshot.
 */
extern void transaction_poll(bool (*is_over) (void *), void *arg,
							 long every_ms, long commit_every_ms);

/*
 * Calls work(arg) in a subtransaction, which is committed, or rolled back on
 * error.  Returns the error, copied into the current memory context, or NULL.
 * That a user ends the statement (error_is_intervention), by a timeout too, is no
 * error of the work, and thrown again.
 */
extern ErrorData *subtransaction_try(void (*work) (void *), void *arg);

/*
 * The same, but always rolls back.  Nothing that work does lasts, nor do its
 * locks; only the memory that it allocates.
 */
extern ErrorData *subtransaction_rehearse(void (*work) (void *), void *arg);

/*
 * The same, committed if keep, for who cleans up after any error, or ends the work
 * himself: returns interventions, too.
 */
extern ErrorData *subtransaction_catch(void (*work) (void *), void *arg,
									   bool keep);

/*
 * Has no other transaction that is open now, in whichever database or prepared,
 * written anything?  False also if that would take long to tell.  Call it while
 * a statement runs.  One that writes nothing yet may do so right afterwards.
 */
extern bool transaction_writes_alone(void);

/*-------------------------------------------------------------------------
 * Setting an active snapshot where the server may need one.
 *
 * The server needs one to detoast values of a table or catalog and to run
 * functions, which planning and the input of literals may do, too.  A
 * procedure that has committed, and a worker, have none.
 *-------------------------------------------------------------------------
 */

/*
 * Pushes a snapshot of what is committed now.  End it with PopActiveSnapshot.
 */
extern void snapshot_push_latest(void);

/*
 * Pushes a snapshot of what was visible before this transaction changed
 * anything.
 */
extern void snapshot_push_before(void);

/*
 * Makes sure that a snapshot is active until snapshot_leave, which takes the
 * returned value.  After an error the abort of the (sub)transaction ends it.
 */
extern bool snapshot_enter(void);
extern void snapshot_leave(bool entered);

#endif							/* TANDEM_TRANSACTION_H */
