/*
 * rehearsal.h
 *		A script, run for real and rolled back, and what it has really done.
 */
#ifndef TANDEM_REHEARSAL_H
#define TANDEM_REHEARSAL_H

#include "review/rehearsal_report.h"

/*
 * Runs the script as the current user, in a subtransaction that is rolled back, unless it
 * is to be kept, has not failed, and is within the limits.  Allocates the result in the
 * current memory context.  With top_level, which needs keep, it commits before each
 * statement of top level: call it where a procedure may commit.  Errors: those of the
 * caller's statement being ended, and of call->look; it is called within a rehearsal; the
 * script drops the extension.
 */
extern Rehearsal *rehearsal_run(const RehearsalCall *call);

#endif							/* TANDEM_REHEARSAL_H */
