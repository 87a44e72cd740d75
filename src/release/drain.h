/*
 * drain.h
 *		Refuses the releases before a migration's, and waits for their
 *		transactions.
 */
#ifndef TANDEM_DRAIN_H
#define TANDEM_DRAIN_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Raises the fence: from the commit that this makes on, new transactions of
 * releases older than the migration's are refused.  Then waits, for at most
 * timeout_ms, for those already open, and for prepared transactions on relids.
 * Call from a procedure with a non-atomic SPI connection, for a migration with
 * a release.  Errors before the fence is up are thrown.  Later ones, including
 * the timeout, which names the transactions, are returned; from then on
 * interrupts are held, and the caller continues with drain_step, and finally
 * drain_end.  If the process is terminated meanwhile the fence is taken back.
 * With force, allowed also if the current release is one of those refused and
 * cannot be switched before.
 */
extern ErrorData *drain_old_releases(Migration *migration, List *relids,
									 int timeout_ms, bool force);

/*
 * Calls work(arg) behind the fence in a subtransaction that can be
 * interrupted, and commits.  Returns the error of work or of the commit, or
 * NULL.
 */
extern ErrorData *drain_step(void (*work) (void *), void *arg);

/*
 * Call after drain_old_releases and the steps.  If error is not NULL, takes
 * the fence back and throws it.
 */
extern void drain_end(Migration *migration, ErrorData *error);

/*
 * For a call within a transaction block, which cannot wait: throws an error if
 * a session has declared an older release and uses relids.
 */
extern void drain_within_transaction(Migration *migration, List *relids,
									 bool force);

/*
 * Excludes other changes of the registry until the end of the transaction.
 * Call before tables are locked.  Errors: as for registry_lock.
 */
extern void drain_lock(const Migration *migration);

/*
 * Call after the last step: retires the older releases finally, and moves the
 * current release if it is one of them.
 */
extern void drain_finish(const Migration *migration);

/*
 * Takes back the fence of an aborted migration, also one left by a crash.
 * Call after drain_lock.
 */
extern void drain_undo(const Migration *migration);

#endif							/* TANDEM_DRAIN_H */
