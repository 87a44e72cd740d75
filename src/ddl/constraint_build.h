/*
 * constraint_build.h
 *		Adding the constraint of a step without blocking, and taking it away.
 */
#ifndef TANDEM_CONSTRAINT_BUILD_H
#define TANDEM_CONSTRAINT_BUILD_H

#include "catalog/step.h"
#include "ddl/build.h"

/*
 * The next piece of the constraint (STEP_CONSTRAINT) or of the NOT NULL
 * (STEP_NOT_NULL) of step: runs as the current user, who owns the table, in a
 * transaction of its own.  Errors: strong locks as in lock_relations.
 */
extern BuildResult constraint_build_next(const Step *step, BuildPiece *piece);
extern BuildResult not_null_build_next(const Step *step, BuildPiece *piece);

/*
 * Takes away whatever of it is there.  The caller has the tables of the
 * migration locked in ACCESS EXCLUSIVE mode; constraint_build_locks tells which
 * others must be, too: those that a foreign key refers to.
 */
extern void constraint_build_undo(const Step *step);
extern void not_null_build_undo(const Step *step);
extern List *constraint_build_locks(const Step *step);

#endif							/* TANDEM_CONSTRAINT_BUILD_H */
