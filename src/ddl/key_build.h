/*
 * key_build.h
 *		Adding UNIQUE and PRIMARY KEY from an index built concurrently.
 */
#ifndef TANDEM_KEY_BUILD_H
#define TANDEM_KEY_BUILD_H

#include "nodes/parsenodes.h"

#include "catalog/step.h"
#include "ddl/build.h"

/* As constraint_build_next and constraint_build_undo, of which they are part. */
extern BuildResult key_build_next(const Step *step, const Constraint *key,
								  BuildPiece *piece);
extern void key_build_undo(const Step *step, const Constraint *key);

#endif							/* TANDEM_KEY_BUILD_H */
