/*
 * step_run.h
 *		Runs a step over the blocks of its table.
 */
#ifndef TANDEM_STEP_RUN_H
#define TANDEM_STEP_RUN_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "rule/rule_uses.h"

typedef struct StepRun StepRun;

/*
 * Prepares this process, number worker (from 0) of workers, to work on the
 * step; allocated in the current memory context.  Continues where the last run
 * stopped, or from the beginning if the table was rewritten since.  uses is
 * shared by the steps of the process, and outlives the result.
 */
extern StepRun *step_run_begin(Migration *migration, Step *step, int worker,
							   int workers, KnownUses *uses);

/*
 * Runs one batch of about target_ms in the caller's subtransaction.  rest is
 * the reason for a pause after the batch, recorded in the step, or NULL.
 * Returns false if no block is left.  Errors: the table was dropped; any error
 * on a row.
 */
extern bool step_run_batch(StepRun *run, int target_ms, const char *rest);

/*
 * Handles the error of a batch that has been rolled back.  Returns true if the
 * error was caused by another session, and the next batch can go on.
 * Otherwise records it in the step, adds the row at which the batch failed and
 * a hint, and returns false; the caller throws it.
 */
extern bool step_run_passes(StepRun *run, ErrorData *error);

/* Returns the number of rows written or verified by the last batch. */
extern int64 step_run_rows(const StepRun *run);

/*
 * Returns the sessions that were in the batch's way, or NULL.  The text lives
 * in the batch's memory context.
 */
extern const char *step_run_blockers(const StepRun *run);

/*
 * Returns the pause before the next batch in ms; 0 unless blocks are left that
 * other processes own, or that have locked rows.  Call once per batch.
 */
extern long step_run_rest_ms(StepRun *run);

/*
 * Do not count the time since the last batch as run time of the step; if the
 * run was paused, neither in the time that it takes.
 */
extern void step_run_skip_time(StepRun *run, bool paused);

/*
 * Tells the process that has the table vacuumed, for the time left: the seconds
 * that a VACUUM took since the last call, how long the next one is expected to
 * take, and how many are to come.
 */
extern void step_run_note_vacuums(StepRun *run, double seconds, double length,
								  int left);

/* Frees the run and releases the blocks that it owns. */
extern void step_run_end(StepRun *run);

#endif							/* TANDEM_STEP_RUN_H */
