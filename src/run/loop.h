/*
 * loop.h
 *		The loop of a run: whether the next piece may go, and who is in the
 *		way.
 */
#ifndef TANDEM_LOOP_H
#define TANDEM_LOOP_H

#include "catalog/migration.h"
#include "fill/throttle.h"

/*
 * The sessions and prepared transactions that process pid waits for, with marks
 * as of lock_session_mark; NULL: it does not wait.
 */
extern char *blockers_of(int pid);

/*-------------------------------------------------------------------------
 * The loop in which a runner and its workers do what takes long.
 *
 * Everything of the migrate phase that comes in pieces goes through it: the
 * batches of a backfill and of verify, the quarantine tried again, what follows
 * the fill, and the builds.  No other place commits or rests between two pieces.
 *-------------------------------------------------------------------------
 */

typedef struct Loop Loop;

struct Loop
{
	const Migration *migration;
	int			step_id;		/* the step whose line of tandem.progress says
								 * why it waits; 0: none */
	Throttle   *throttle;		/* of the step, or NULL */
	void	   *arg;			/* for the functions */

	/*
	 * One piece, in a subtransaction.  The settings configured for the
	 * migration are in force, for the whole transaction.  Sets more if
	 * another piece is to follow.
	 */
	void		(*work) (Loop *loop);

	/*
	 * The error of a piece, which has been rolled back.  True: it passes by
	 * itself, and the next piece follows.  False: it is raised, once what is
	 * noted here has been committed.
	 */
	bool		(*passes) (Loop *loop, ErrorData *error);

	/*
	 * Called after the commit of the piece, failed or not, in the next
	 * transaction, which is committed, too; may wait for other processes with
	 * transaction_poll.  Returns an error, to be raised after the commit, or
	 * NULL.  NULL instead of a function: nothing is to be done.
	 */
	ErrorData  *(*after) (Loop *loop);

	/* of the piece at hand */
	bool		waited;			/* the look before it has waited */
	double		ms;				/* that it took, with its locks and its commit */
	bool		more;
	long		rest_ms;		/* before the next one */
};

/*
 * Runs pieces until one is the last.  Before each one it looks whether the next
 * may go: the role still has its rights, the migration is not paused, and the
 * throttle has nothing against it; while it waits it says so in the step.  The
 * caller has a non-atomic SPI connection and no active snapshot.  What the
 * functions allocate goes with the piece.  Errors: the migration is to stop;
 * those of work and after.
 */
extern void loop_run(Loop *loop);

#endif							/* TANDEM_LOOP_H */
