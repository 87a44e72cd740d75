/*
 * migration_lock.h
 *		The locks of a migration: for changing, running and stopping it.
 */
#ifndef TANDEM_MIGRATION_LOCK_H
#define TANDEM_MIGRATION_LOCK_H

#include "catalog/migration.h"

/*
 * Takes the change lock of the migration until the end of the transaction.
 * The caller has checked the rights.  Errors: another session holds it for
 * longer than tandem.lock_retry_time.
 */
extern void migration_lock_change(const Migration *migration);

/*
 * Releases what one call of migration_lock_change or migration_get_for_change
 * has taken, when there was nothing to change.  Otherwise nodes that skip
 * their script would wait for each other, with snapshots for which a
 * concurrent index build of the runner waits.
 */
extern void migration_unlock_change(const Migration *migration);

/*
 * Prevents others from creating a migration of that name, and perhaps of
 * others with the same hash, at the same time.  Must be released before
 * waiting for anything.
 */
extern void migration_lock_creation(const char *name);
extern void migration_unlock_creation(const char *name);

/*
 * Until the end of the transaction, sessions that load rows of migrations that
 * do not exist and sessions that create migrations exclude each other.  Each
 * waits for tandem.lock_retry_time; then ERRCODE_LOCK_NOT_AVAILABLE.
 */
extern void migration_lock_load(void);
extern void migration_lock_new(void);

/* Returns the process that runs the migration, or 0. */
extern int	migration_runner_pid(const Migration *migration);

/* Throws the error that process pid runs the migration. */
extern void migration_already_running(const Migration *migration,
									  int pid);

/*
 * Takes the runner lock; its holder runs the migration.  For migrate it is a
 * session lock: it survives the commits of batches and ends with the process,
 * however that ends.  Otherwise it ends with the transaction.  Errors: another
 * session holds it.
 */
extern void migration_lock_runner(Migration *migration, bool session);

/*
 * Does another session hold the runner lock?  The caller has locked the
 * migration for change, so no session takes the runner lock meanwhile.
 */
extern bool migration_is_running(const Migration *migration);

/*
 * Commits, and waits until the other run has ended or is about to end.  Waits
 * without a snapshot or lock, and can be interrupted.  Returns 0; or the id of a
 * process of that run that waits for a lock of this session, directly or through
 * others, so that it would never end.
 */
extern int	migration_await_runner(const Migration *migration);

/*
 * Takes the start lock: its holder is about to run the migration, or to start
 * a process that does.  Held until the end of the transaction, or as a session
 * lock.  Returns false if another session holds it, which is only for a
 * moment.
 */
extern bool migration_lock_start(Migration *migration, bool session);

/* Releases the session lock; an abort of the transaction does that, too. */
extern void migration_unlock_start(const Migration *migration);

/* Returns the lowest id of the migration's events from now on. */
extern int64 migration_next_event(const Migration *migration);

/* Was tandem.cancel called since?  since is from migration_next_event. */
extern bool migration_was_cancelled(const Migration *migration, int64 since);

/* Throws the error that another session has stopped the migration. */
extern void migration_stopped(const Migration *migration);

/* Releases the session lock; an abort of the transaction does that, too. */
extern void migration_unlock_runner(Migration *migration);

/*
 * Asks the runner to stop at its next batch, and waits for that, for at most
 * timeout_ms.  The request lasts until the end of the transaction.
 */
extern void migration_stop_runner(const Migration *migration, int timeout_ms);

/*
 * Throws an error if a session has asked the migration to stop, or if the
 * runner that this process works for has ended.  Otherwise prevents a stop
 * until the end of the transaction.
 */
extern void migration_check_stop(const Migration *migration);

/* Throws the same errors, but prevents nothing: for what takes long by itself. */
extern void migration_refuse_stop(const Migration *migration);

/*
 * Makes this process, a worker, work for the runner with process id runner
 * until the process ends.  Meanwhile no session can run, abort or cancel the
 * migration, and migration_check_stop fails once the runner is gone.  Returns
 * false if that process does not run the migration any more; then the caller
 * must do nothing.
 */
extern bool migration_join_workers(int migration_id, int runner);

/*
 * Returns the process id of the runner that this process works for; it may be
 * its own.
 */
extern int	migration_runner_of_process(void);

/*
 * Shows, until the end of the transaction, that this process is going to run
 * the migration again after a temporary error.
 */
extern void migration_join_retry(int migration_id);

/*
 * Waits, for at most timeout_ms, until no process works for a runner of the
 * migration, and keeps new ones out until the end of the transaction.  The
 * caller holds the runner lock.  Errors: a process has not ended.
 */
extern void migration_wait_for_workers(const Migration *migration,
									   int timeout_ms);

#endif							/* TANDEM_MIGRATION_LOCK_H */
