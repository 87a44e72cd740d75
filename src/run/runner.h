/*
 * runner.h
 *		The migrate phase: all steps in their order.
 */
#ifndef TANDEM_RUNNER_H
#define TANDEM_RUNNER_H

#include "catalog/migration.h"

/*
 * Does what is left of the migrate phase, with workers processes where that
 * helps, from a procedure or a worker with a non-atomic SPI connection; commits
 * after each piece.  The caller has the migration for change; it is
 * given back at the first commit.  Takes the runner lock and gives it back.
 * Errors: another session runs it; the caller does not own the tables; those of
 * the steps, which keep what was done.
 */
extern void runner_run(Migration *migration, int workers);

/*
 * Whether a run would find nothing to do: all steps are done, and what they
 * have done still holds.  Rows in quarantine do not count.
 */
extern bool runner_is_done(const Migration *migration);

#endif							/* TANDEM_RUNNER_H */
