/*
 * loop.h
 *		The loop of a run: waits until the next piece may start, and runs
 *		it.
 */
#ifndef TANDEM_LOOP_H
#define TANDEM_LOOP_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "fill/throttle.h"

/*
 * Returns the sessions and prepared transactions that process pid waits for,
 * marked as by lock_session_mark, palloc'd, or NULL if it does not wait.
 */
extern char *blockers_of(int pid);

/*-------------------------------------------------------------------------
 * The loop in which a runner and its workers do everything that takes long.
 *
 * All work of the migrate phase that is done in pieces goes through it:
 * batches of backfill and verify, retried quarantined rows, what follows the
 * fill, and builds.  Nothing else commits or rests between two pieces.
 *-------------------------------------------------------------------------
 */

/*
 * From the next commit on, the transactions of this process are pieces of a run,
 * until this is called with false: their commits do not wait for the disk, and
 * each of them holds the extension.
 */
extern void loop_transactions(bool pieces);

typedef struct Loop Loop;

struct Loop
{
	const Migration *migration;
	int			step_id;		/* step whose tandem.progress row shows why it
								 * waits; 0 for none */
	Throttle   *throttle;		/* for the step, or NULL */
	void	   *arg;			/* for the callbacks */

	/*
	 * Does one piece, in a subtransaction, with the settings configured for
	 * the migration in force.  Sets more if another piece follows.
	 */
	void		(*work) (Loop *loop);

	/*
	 * Handles the error of a piece, which has been rolled back.  Returns true
	 * if the error is temporary and the next piece can follow; otherwise it
	 * is thrown once what this callback records has been committed.  NULL: no
	 * error is temporary, and nothing is recorded.
	 */
	bool		(*passes) (Loop *loop, ErrorData *error);

	/*
	 * Called after the commit of a piece, failed or not, in a transaction
	 * that is then committed.  May wait for other processes, with
	 * transaction_poll.  Returns an error to be thrown after the commit, or
	 * NULL.  The callback may be NULL.
	 */
	ErrorData  *(*after) (Loop *loop);

	/*
	 * A piece that gets a lock only by waiting is rolled back, so that
	 * nothing is held while the blocking sessions are reported and the next
	 * try is awaited, for at most tandem.lock_retry_time.  See
	 * loop_lock_passes.
	 */
	bool		retries_locks;	/* false: a piece sees to its locks itself */
	int64		lock_give_up;	/* 0 before the first try */
	double		lock_pause;		/* of lock_next_pause */

	/* about the current piece */
	bool		waited;			/* the look before it had to wait, */
	bool		paused;			/* because somebody had paused the migration */
	double		ms;				/* its duration, including locks and commit */
	bool		more;
	long		rest_ms;		/* pause before the next piece */
};

/*
 * Records work on the table of a step besides the step's own, as
 * step_set_afterwards does; nothing if step_id is 0.
 */
extern void loop_note_afterwards(int step_id, StepPhase phase,
								 const char *doing, int64 done, int64 total,
								 const char *blockers);

/*
 * Is error that of a lock which the piece could not get at once, and is there
 * time for another try?  Then the loop rests, and the step shows doing, and the
 * sessions in the way; *error is left alone.  When there is no time left *error,
 * which the caller then throws, tells how long the loop has tried to lock relid.
 */
extern bool loop_lock_passes(Loop *loop, ErrorData *error, Oid relid,
							 StepPhase phase, const char *doing);

/*
 * Runs pieces until one does not set more.  Before each piece, waits until it
 * may start: the role still has its rights, the migration is not paused, and
 * the throttle gives no reason to wait; the step shows the reason meanwhile.
 * The caller has a non-atomic SPI connection and no active snapshot.  Memory
 * allocated by the callbacks is freed after the piece.  Errors: another
 * session has asked to stop; those of work and after.
 */
extern void loop_run(Loop *loop);

#endif							/* TANDEM_LOOP_H */
