/*
 * run.h
 *		A step that goes over the blocks of its table, batch by batch.
 */
#ifndef TANDEM_RUN_H
#define TANDEM_RUN_H

#include "catalog/migration.h"
#include "catalog/step.h"

typedef struct StepRun StepRun;

/* What a batch came to. */
typedef struct StepBatch
{
	int64		rows;			/* written or verified */
	double		ms;				/* that it took, with its locks and its commit */
	char	   *blockers;		/* who was in its way, or NULL; palloc'd */
} StepBatch;

/*
 * Prepares this process, one (from 0) of workers, to work on the step, in the
 * current memory context.  Goes on where the last run stopped; from the
 * beginning when the table was rewritten since.
 */
extern StepRun *step_run_begin(Migration *migration, Step *step, int worker,
							   int workers);

/*
 * Does one batch of about target_ms and commits it, with the note that the step
 * is about to rest, for what or NULL, with a non-atomic SPI connection and without
 * an active snapshot; false: no block is left.  Errors: another session asks
 * to stop; the table is gone; whatever a row raises: then it is noted in the
 * step, and all batches before are kept.
 */
extern bool step_run_batch(StepRun *run, int target_ms, const char *rest,
						   StepBatch *batch);

/* The time since the last batch was not spent on the step. */
extern void step_run_skip_time(StepRun *run);

/* Frees the run, and gives back the blocks it has claimed. */
extern void step_run_end(StepRun *run);

#endif							/* TANDEM_RUN_H */
