/*
 * fill.h
 *		Backfill and verify steps, shared among workers.
 */
#ifndef TANDEM_FILL_H
#define TANDEM_FILL_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/*
 * Runs the steps of that kind to their end, in this process and workers - 1
 * background workers.  The caller has a non-atomic SPI connection; commits
 * after each batch.  Errors: as step_run_batch.
 */
extern void fill_run(Migration *migration, StepKind kind, int workers);

/*
 * Whether what was done holds for the trigger as it is.  Another trigger may
 * have been away: a partition is detached, written and attached again.  A
 * verification that met rows whose transform fails is to be made again: they
 * may be fixed by now.
 */
extern bool fill_proof_holds(const Step *step);

/* Whether every leaf table of the rule is filled, under its trigger of now. */
extern bool fill_is_complete(const Migration *migration, const SyncRule *rule);

#endif							/* TANDEM_FILL_H */
