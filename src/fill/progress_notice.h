/*
 * progress_notice.h
 *		Tells the session that runs a step how far it is.
 */
#ifndef TANDEM_PROGRESS_NOTICE_H
#define TANDEM_PROGRESS_NOTICE_H

#include "catalog/step.h"

typedef struct ProgressNotice
{
	int64		started;		/* clock_now() at the start */
	int64		last;			/* clock_now() at the last notice */
} ProgressNotice;

/* Starts the notices for a step. */
extern void progress_notice_start(ProgressNotice *notice);

/* Sends a NOTICE if two seconds have passed since the last one. */
extern void progress_notice(ProgressNotice *notice, Step *step,
							const char *waiting);

/*
 * The same for a statement that runs in a worker: doing says what it does;
 * phase may be NULL; done and total count in the statement's own units (total
 * is 0 if it reports none).
 */
extern void progress_notice_statement(ProgressNotice *notice, Step *step,
									  const char *doing, const char *phase,
									  int64 done, int64 total,
									  const char *blockers);

/* Sends a NOTICE that tells how the step ended. */
extern void progress_notice_end(ProgressNotice *notice, Step *step);

#endif							/* TANDEM_PROGRESS_NOTICE_H */
