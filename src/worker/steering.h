/*
 * steering.h
 *		What a runner looks at between two batches: may the next one go?
 */
#ifndef TANDEM_STEERING_H
#define TANDEM_STEERING_H

#include "backfill/throttle.h"
#include "catalog/migration.h"

/*
 * Returns when the next batch of the step may go: the migration is not paused
 * and the throttle (NULL: none) has nothing against it.  While it waits it says
 * so in the step, committing each time.  On return the settings configured for
 * the migration are in force until the end of the transaction.  True: it has
 * waited.  Errors: somebody asks the migration to stop.
 */
extern bool steering_wait(const Migration *migration, int step_id,
						  Throttle *throttle);

#endif							/* TANDEM_STEERING_H */
