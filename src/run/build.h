/*
 * build.h
 *		The steps that build something: indexes, constraints, statistics.
 */
#ifndef TANDEM_BUILD_H
#define TANDEM_BUILD_H

#include "catalog/migration.h"
#include "catalog/step.h"

/*
 * Runs the steps of that kind to their end; those that are done are looked at
 * again.  The caller has a non-atomic SPI connection; commits after each piece.
 * Errors: another session asks to stop; those of the statements, which are
 * noted in the step.
 */
extern void build_run(Migration *migration, StepKind kind);

#endif							/* TANDEM_BUILD_H */
