/*
 * run.h
 *		Runs a step of the migrate phase over its table, batch by batch.
 */
#ifndef TANDEM_RUN_H
#define TANDEM_RUN_H

#include "catalog/migration.h"
#include "catalog/step.h"

/*
 * Runs the step to its end, committing after each batch, from a procedure with
 * a non-atomic SPI connection, without an active snapshot.  Goes on where the
 * last run stopped; from the beginning when the table was rewritten since.
 * Errors: another session asks to stop; the table is gone; whatever a row
 * raises: then it is noted in the step, and all batches before are kept.
 */
extern void run_step(Migration *migration, Step *step);


#endif							/* TANDEM_RUN_H */
