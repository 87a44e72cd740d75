/*
 * background.h
 *		Runs a migration in a background worker, and resumes it after a
 *		restart.
 */
#ifndef TANDEM_BACKGROUND_H
#define TANDEM_BACKGROUND_H

#include "catalog/migration.h"
#include "run/process.h"

/*
 * Fills in the order for a runner from tandem.migration.  Errors: the role was
 * dropped, or may no longer act on the migration.
 */
extern void background_order(const Migration *migration,
							 ProcessOrder *order);

/*
 * Starts the runner.  Returns NULL if no worker is free.  That the run is
 * wanted must have been committed before.
 */
extern BackgroundWorkerHandle *background_start(const ProcessOrder *order);

/*
 * Waits until the runner of the order has the runner lock or has ended.  The
 * caller has just committed.  Errors: the runner failed or could not connect.
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
