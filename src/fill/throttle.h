/*
 * throttle.h
 *		Limits the speed of a fill.
 */
#ifndef TANDEM_THROTTLE_H
#define TANDEM_THROTTLE_H

#include "catalog/migration.h"
#include "catalog/run_control.h"

typedef struct Pacing
{
	double		ms_per_block;	/* moving average; 0 before the first batch */
	int			blocks;			/* size of the next batch */
} Pacing;

/* Starts with batches of this many blocks, or with a small guess if 0. */
extern void pacing_start(Pacing *pacing, int blocks);

/*
 * Tells that a batch of blocks took ms, and that the next may take target_ms.
 */
extern void pacing_learn(Pacing *pacing, int blocks, double ms, int target_ms);

/* Makes the next batch smaller, because a session waited for the last one. */
extern void pacing_shrink(Pacing *pacing);

typedef struct Throttle Throttle;

/*
 * Returns a throttle for one of workers processes on the same table;
 * runner_pid is the session that runs the migration.  Allocated in the current
 * memory context, in which migration must live as well.
 */
extern Throttle *throttle_create(const Migration *migration, Oid relid,
								 int workers, int runner_pid);

/* Were clients active within the last second, and is nice_ratio set? */
extern bool throttle_sees_load(const Throttle *throttle);

/* Returns the reason for a pause after the next batch, palloc'd, or NULL. */
extern char *throttle_rest(const Throttle *throttle);

/* Returns the time that the next batch may take, in ms. */
extern int	throttle_batch_target(const Throttle *throttle);

/* Tells that a batch has committed, with its rows and duration. */
extern void throttle_learn(Throttle *throttle, int64 rows, double ms);

/*
 * Returns the reason why the next batch must wait, palloc'd, and in *wait_ms
 * when to ask again; or NULL if it may start.  control holds the current run
 * settings of the migration.  Call in a transaction between two batches;
 * leaves no snapshot and no lock on a user's table.  Expensive checks are made
 * at most once a second.  Settings: tandem.max_rows_per_second, nice_ratio,
 * max_wal_rate, max_lag_size, max_lag_time, lag_sources, hold_function.
 */
extern char *throttle_reason(Throttle *throttle, const RunControl *control,
							 long *wait_ms);

#endif							/* TANDEM_THROTTLE_H */
