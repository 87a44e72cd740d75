/*
 * fill.h
 *		Runs backfill and verify steps, shared among workers.
 */
#ifndef TANDEM_FILL_H
#define TANDEM_FILL_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "rule/rule_uses.h"

/*
 * Runs all steps of that kind in this process and workers - 1 background
 * workers.  The caller has a non-atomic SPI connection; commits after each
 * batch.  Errors: those of step_run_batch.
 */
extern void fill_run(Migration *migration, StepKind kind, int workers);

/*
 * Is what the step has done valid under the table's current trigger?  Another
 * trigger may have missed writes, for example while a partition was detached.
 * False, too, for a verify that met rows whose expression fails, for they may be
 * fixed by now, and for one whose rules use a function that was replaced since;
 * uses is asked about these, and may be NULL for a backfill.
 */
extern bool fill_proof_holds(const Step *step, KnownUses *uses);

/* Are all leaf tables of the rule filled, under their current triggers? */
extern bool fill_is_complete(const Migration *migration, const SyncRule *rule);

#endif							/* TANDEM_FILL_H */
