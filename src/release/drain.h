/*
 * drain.h
 *		Refuses the releases before a migration, and waits until they have ended.
 */
#ifndef TANDEM_DRAIN_H
#define TANDEM_DRAIN_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Fences: from the commit that this makes on, new transactions of releases
 * older than that of the migration are refused; then waits, at most timeout_ms,
 * for those that were under way, and for prepared transactions on relids.  From
 * a procedure with a non-atomic SPI connection.  On an error, also that of the
 * timeout, which names them, the fence is taken back; and when the process is
 * terminated, also later, until drain_give_up or drain_finish.  force: also
 * where the pointer is on one of them, and cannot be moved before.
 */
extern void drain_old_releases(Migration *migration, List *relids,
							   int timeout_ms, bool force);

/*
 * The same within a transaction, which cannot wait: errors when a session has
 * declared an older release.
 */
extern void drain_within_transaction(Migration *migration, bool force);

/*
 * After the last: the releases before it are retired for good, and the pointer
 * leaves them.
 */
extern void drain_finish(const Migration *migration);

/*
 * The migration was aborted, or its contract has failed: its fence is taken
 * back, also one that a crash has left.
 */
extern void drain_undo(const Migration *migration);

/* The same after drain_old_releases, and commits. */
extern void drain_give_up(const Migration *migration);

#endif							/* TANDEM_DRAIN_H */
