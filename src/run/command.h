/*
 * command.h
 *		Runs statements at top level in a background worker.
 */
#ifndef TANDEM_COMMAND_H
#define TANDEM_COMMAND_H

#include "catalog/migration.h"

/*
 * Called twice a second while the statement runs in process pid, in a
 * transaction that is then committed.  May throw an error.  Memory that it
 * allocates is freed after the call.
 */
typedef void (*CommandWatch) (int pid, void *arg);

/*
 * Runs a statement for the table relid at top level, as the table's owner (see
 * top_level_run), and waits until it ends.  Returns its error, palloc'd, for
 * ThrowErrorData, or NULL.  The caller has a non-atomic SPI connection and has
 * just committed: it must hold no snapshot and no lock on a table, or CREATE
 * INDEX CONCURRENTLY would wait for it.  With gentle, VACUUM and ANALYZE sleep
 * as autovacuum does by default.  The statement is cancelled if the caller is
 * cancelled or dies.  The worker waits a moment for another statement of the
 * same owner; whoever calls this ends it with command_end.  *gave_way tells whether it
 * has failed because of another transaction, and may be tried again.
 */
extern ErrorData *command_run(const Migration *migration, const char *sql,
							  Oid relid, bool gentle, CommandWatch watch,
							  void *arg, bool *gave_way);

/*
 * The same of a statement of the caller's own, which the current user has passed just now:
 * it is run as that user, whatever it says, under his search_path, and waits for no lock
 * longer than lock_timeout_ms.  watch is called every few milliseconds.  The worker has
 * ended when this returns.
 */
extern ErrorData *command_run_own(const char *sql, int lock_timeout_ms, CommandWatch watch, void *arg);

/*
 * Ends the worker of this process, if any, and waits until it has ended unless
 * the process is exiting.  For process_with_cleanup around all that may call
 * command_run, and where another worker needs the place.
 */
extern void command_end(void);

#endif							/* TANDEM_COMMAND_H */
