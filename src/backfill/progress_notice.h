/*
 * progress_notice.h
 *		Tells the session how far a step is, at most every two seconds.
 */
#ifndef TANDEM_PROGRESS_NOTICE_H
#define TANDEM_PROGRESS_NOTICE_H

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

#endif							/* TANDEM_PROGRESS_NOTICE_H */
