/*
 * drain.h
 *		Refuses the releases before a migration, and waits until they have
 *		ended.
 */
#ifndef TANDEM_DRAIN_H
#define TANDEM_DRAIN_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Fences: from the commit that this makes on, new transactions of releases
 * older than that of the migration are refused; then waits, at most timeout_ms,
 * for those that were under way, and for prepared transactions on relids.  From
 * a procedure with a non-atomic SPI connection, of a migration with a release.
 * Errors before the fence is up are raised; later ones, also that of the
 * timeout, which names them, are returned.  Then interrupts are held: what
 * follows is drain_step, and at last drain_end.  When the process is terminated
 * meanwhile the fence is taken back.  force: also where the pointer is on one of
 * them, and cannot be moved before.
 */
extern ErrorData *drain_old_releases(Migration *migration, List *relids,
									 int timeout_ms, bool force);

/*
 * Does some work behind the fence in a subtransaction, ready for Ctrl-C, and
 * commits.  The error that ended it, or the commit, or NULL.
 */
extern ErrorData *drain_step(void (*work) (void *), void *arg);

/*
 * After drain_old_releases and the steps: where one of them has failed takes
 * the fence back, and raises that error.
 */
extern void drain_end(Migration *migration, ErrorData *error);

/*
 * The same within a transaction, which cannot wait: errors when a session has
 * declared an older release and has to do with relids.
 */
extern void drain_within_transaction(Migration *migration, List *relids,
									 bool force);

/*
 * Keeps others from changing the registry until the end of the transaction: to
 * be called before tables are locked.  Errors: as registry_lock.
 */
extern void drain_lock(const Migration *migration);

/*
 * After the last: the releases before it are retired for good, and the pointer
 * leaves them.
 */
extern void drain_finish(const Migration *migration);

/*
 * The migration was aborted: its fence is taken back, also one that a crash has
 * left.  After drain_lock.
 */
extern void drain_undo(const Migration *migration);

#endif							/* TANDEM_DRAIN_H */
