/*
 * build.h
 *		Runs the steps that build something: indexes, constraints,
 *		statistics.
 */
#ifndef TANDEM_BUILD_H
#define TANDEM_BUILD_H

#include "catalog/migration.h"
#include "catalog/step.h"

/*
 * Runs all steps of that kind.  Steps that are done are checked again.  The
 * caller has a non-atomic SPI connection; commits after each piece.  Errors:
 * another session has asked to stop; those of the statements, which are
 * recorded in the step.
 */
extern void build_run(Migration *migration, StepKind kind);

#endif							/* TANDEM_BUILD_H */
