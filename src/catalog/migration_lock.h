/*
 * migration_lock.h
 *		The locks of a migration: who changes it, who runs it, who is to
 *		stop.
 */
#ifndef TANDEM_MIGRATION_LOCK_H
#define TANDEM_MIGRATION_LOCK_H

#include "catalog/migration.h"

/*
 * The change lock of the migration, until the end of the transaction.  The
 * caller has been found to have a right to it.  Errors: another session has it
 * for longer than tandem.lock_retry_time.
 */
extern void migration_lock_change(const Migration *migration);

/*
 * Gives back what one call of that or of migration_get_for_change took, when nothing was to be
 * changed: else the nodes that pass over their script would wait for each
 * other, with snapshots that a concurrent index build of the runner waits for.
 */
extern void migration_unlock_change(const Migration *migration);

/*
 * Keeps others from creating a migration of that name, and perhaps of others, at
 * the same moment.  It must be given back before anything is waited for.
 */
extern void migration_lock_creation(const char *name);
extern void migration_unlock_creation(const char *name);

/*
 * Until the end of the transaction: who loads rows of migrations that do not
 * exist, and who creates migrations, keep each other out, each waiting for
 * tandem.lock_retry_time; then ERRCODE_LOCK_NOT_AVAILABLE.
 */
extern void migration_lock_load(void);
extern void migration_lock_new(void);

/* The process that runs it, or 0. */
extern int	migration_runner_pid(const Migration *migration);

/* Raises that process pid does so. */
extern void migration_already_running(const Migration *migration,
									  int pid);

/*
 * The runner lock: who holds it runs the migration.  For migrate it is a
 * session lock, so that it lasts over the commits of batches and ends with the
 * process whatever kills it; else it ends with the transaction.  Errors when
 * another session holds it.
 */
extern void migration_lock_runner(Migration *migration, bool session);

/*
 * Whether another session has the runner lock.  The caller has the migration
 * for change, so that nobody takes that lock meanwhile.
 */
extern bool migration_is_running(const Migration *migration);

/*
 * Commits, and waits until the other run has ended, or nearly so: without a
 * snapshot, without a lock, ready for Ctrl-C.
 */
extern void migration_await_runner(const Migration *migration);

/*
 * The start lock: who has it is about to run the migration, or to start a
 * process that does.  Until the end of the transaction, or of a session
 * lock.  False: another session has it, for a moment.
 */
extern bool migration_lock_start(const Migration *migration, bool session);

/* Ends the session lock; an abort of the transaction does so by itself. */
extern void migration_unlock_start(const Migration *migration);

/* Events of the migration from now on have this number, or a later one. */
extern int64 migration_next_event(const Migration *migration);

/* Whether somebody has called tandem.cancel since: see migration_next_event. */
extern bool migration_was_cancelled(const Migration *migration, int64 since);

/* Raises that another session has stopped it. */
extern void migration_stopped(const Migration *migration);

/* Ends the session lock; an abort of the transaction does so by itself. */
extern void migration_unlock_runner(Migration *migration);

/*
 * Asks the runner to stop at its next batch and waits, at most timeout_ms,
 * until it has.  Holds the request until the end of the transaction.
 */
extern void migration_stop_runner(const Migration *migration, int timeout_ms);

/*
 * Errors when somebody asks the migration to stop, or the runner that this
 * process works for is gone.  Else holds the stop up until the end of the
 * transaction.
 */
extern void migration_check_stop(const Migration *migration);

/*
 * This process, a worker, works for the runner of the migration with process
 * id runner until it ends: nobody runs, aborts or cancels the migration again
 * meanwhile, and migration_check_stop fails once that process is gone.  False:
 * that one does not run it any more, so the caller must do nothing.
 */
extern bool migration_join_workers(int migration_id, int runner);

/* The runner that this process works for; that may be itself. */
extern int	migration_runner_of_process(void);

/*
 * Tells, until the end of the transaction, that this process is going to run
 * the migration again after an error that may pass.
 */
extern void migration_join_retry(int migration_id);

/*
 * Waits, at most timeout_ms, until no process works for a runner of the
 * migration, and keeps new ones out until the end of the transaction.  The
 * caller has the runner lock.  Errors: one goes on.
 */
extern void migration_wait_for_workers(const Migration *migration,
									   int timeout_ms);

#endif							/* TANDEM_MIGRATION_LOCK_H */
