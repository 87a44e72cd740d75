/*
 * throttle.h
 *		How fast a fill may go.
 */
#ifndef TANDEM_THROTTLE_H
#define TANDEM_THROTTLE_H

#include "catalog/migration.h"
#include "catalog/run_control.h"

typedef struct Pacing
{
	double		ms_per_block;	/* moving average; 0: nothing measured yet */
	int			blocks;			/* of the next batch */
} Pacing;

/* Starts with blocks blocks, or with a small first guess when that is 0. */
extern void pacing_start(Pacing *pacing, int blocks);

/* Learns that a batch of blocks blocks took ms, and that the next may take target_ms. */
extern void pacing_learn(Pacing *pacing, int blocks, double ms, int target_ms);

/* The next batch is smaller: somebody waited for the last. */
extern void pacing_shrink(Pacing *pacing);

typedef struct Throttle Throttle;

/*
 * For a process that is one of workers on the same table of a migration, for
 * the runner with that process id; in the current memory context, in which
 * migration lives, too.
 */
extern Throttle *throttle_create(const Migration *migration, Oid relid,
								 int workers, int runner_pid);

/* Whether clients are at work, and to be spared. */
extern bool throttle_sees_load(const Throttle *throttle);

/* For what a rest will follow the next batch, for people, palloc'd; or NULL. */
extern char *throttle_rest(const Throttle *throttle);

/* How many ms the next batch may take. */
extern int	throttle_batch_target(const Throttle *throttle);

/* Learns that a batch has committed: how many rows, in how many ms. */
extern void throttle_learn(Throttle *throttle, int64 rows, double ms);

/*
 * Why the next batch must wait, for people, palloc'd, and when to ask again;
 * NULL: it may go.  control is how the migration is to be run now.  Called in a transaction, between two batches; leaves no
 * snapshot and no lock on a user's table behind.  Dear questions are asked once
 * a second at most.  Settings: tandem.max_rows_per_second, nice_ratio,
 * max_wal_rate, max_lag_size, max_lag_time, lag_sources, hold_function.
 */
extern char *throttle_reason(Throttle *throttle, const RunControl *control,
							 long *wait_ms);

#endif							/* TANDEM_THROTTLE_H */
