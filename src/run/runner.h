/*
 * runner.h
 *		The migrate phase: runs all steps in their order.
 */
#ifndef TANDEM_RUNNER_H
#define TANDEM_RUNNER_H

#include "catalog/migration.h"

/*
 * Does what is left of the migrate phase, with workers processes where that
 * helps.  Call from a procedure or worker with a non-atomic SPI connection;
 * commits after each piece.  The caller has locked the migration for change,
 * which ends at the first commit.  Takes the runner lock and releases it.
 * Errors: another session runs the migration; the caller does not own the
 * tables; those of the steps, which keep the completed work.
 */
extern void runner_run(Migration *migration, int workers);

/*
 * Would a run find nothing to do?  True if all steps are done and what they
 * have done is still valid, and no row is to be changed after the switch.
 * Quarantined rows do not count.
 */
extern bool runner_is_done(const Migration *migration);

/* Warns if rows of the migration are in quarantine, and returns whether they are. */
extern bool runner_warn_of_quarantine(const Migration *migration);

#endif							/* TANDEM_RUNNER_H */
