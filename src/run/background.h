/*
 * background.h
 *		A runner in a background worker, and what resumes it after a
 *		restart.
 */
#ifndef TANDEM_BACKGROUND_H
#define TANDEM_BACKGROUND_H

#include "catalog/migration.h"
#include "run/process.h"

/*
 * The order for a runner, as tandem.migration says it is to be run.  Errors:
 * the role is gone, or may no longer act on the migration.
 */
extern void background_order(const Migration *migration,
							 ProcessOrder *order);

/* Starts it; NULL: no worker is free.  That it is wanted is committed. */
extern BackgroundWorkerHandle *background_start(const ProcessOrder *order);

/*
 * Waits until the runner of the order has the runner lock or has ended.  The
 * caller has just committed.  Errors: it has ended with an error, or could not
 * connect.
 */
extern void background_wait_for_start(const Migration *migration,
									  const ProcessOrder *order,
									  BackgroundWorkerHandle *handle);

/*
 * Registers the launcher with the postmaster; called from _PG_init.  Does
 * nothing unless the library is in shared_preload_libraries.
 */
extern void launcher_register(void);

#endif							/* TANDEM_BACKGROUND_H */
