/*
 * step_run.h
 *		A step over the blocks of its table, and what is told of its
 *		progress.
 */
#ifndef TANDEM_STEP_RUN_H
#define TANDEM_STEP_RUN_H

#include "catalog/migration.h"
#include "catalog/step.h"

typedef struct ProgressNotice
{
	int64		started;		/* of clock_now */
	int64		last;			/* when it was told last */
	int64		rows_before;	/* of the step, at the start of this run */
	int64		left_before;	/* blocks, likewise */
} ProgressNotice;

extern void progress_notice_start(ProgressNotice *notice, Step *step);

/* Tells it if two seconds have gone by since it was told last. */
extern void progress_notice(ProgressNotice *notice, Step *step,
							const char *waiting);

/*
 * The same of a statement that runs in a worker: what it does, its phase (or
 * NULL) and its own units of work (total 0: it does not tell).
 */
extern void progress_notice_statement(ProgressNotice *notice, Step *step,
									  const char *doing, const char *phase,
									  int64 done, int64 total,
									  const char *blockers);

/* Tells how the step ended. */
extern void progress_notice_end(ProgressNotice *notice, Step *step);

typedef struct StepRun StepRun;

/*
 * Prepares this process, one (from 0) of workers, to work on the step, in the
 * current memory context.  Goes on where the last run stopped; from the
 * beginning when the table was rewritten since.
 */
extern StepRun *step_run_begin(Migration *migration, Step *step, int worker,
							   int workers);

/*
 * Does one batch of about target_ms, within the subtransaction of the caller,
 * with the note that the step is about to rest, for what or NULL; false: no block
 * is left.  Errors: the table is gone; whatever a row raises.
 */
extern bool step_run_batch(StepRun *run, int target_ms, const char *rest);

/*
 * The error of that batch, which has been rolled back; true: it tells of another
 * session, and the next batch goes on.  False: it is noted in the step, with the
 * row that the batch failed at, and completed by a hint; to be raised.
 */
extern bool step_run_passes(StepRun *run, ErrorData *error);

/* Rows written or verified by the last batch. */
extern int64 step_run_rows(const StepRun *run);

/* Who was in its way, or NULL; it lives as long as the batch's memory. */
extern const char *step_run_blockers(const StepRun *run);

/*
 * How long to rest before the next batch, in ms: blocks are left that others are
 * at work on, or have rows in locked.  To be asked once a batch.
 */
extern long step_run_rest_ms(StepRun *run);

/* The time since the last batch was not spent on the step. */
extern void step_run_skip_time(StepRun *run);

/* Frees the run, and gives back the blocks it has claimed. */
extern void step_run_end(StepRun *run);

#endif							/* TANDEM_STEP_RUN_H */
