/*
 * constraint_build.h
 *		CHECK and FOREIGN KEY constraints: what the catalog says of them,
 *		and the next piece.
 */
#ifndef TANDEM_CONSTRAINT_BUILD_H
#define TANDEM_CONSTRAINT_BUILD_H

#include "catalog/step.h"
#include "ddl/build_piece.h"

typedef struct ConstraintState
{
	Oid			oid;
	char		type;			/* as pg_constraint.contype */
	bool		validated;
	Oid			parent;			/* that of the partitioned table, or 0 */
} ConstraintState;

/* The constraint of that name on relid; false: none.  Takes no lock. */
extern bool constraint_find(Oid relid, const char *name,
							ConstraintState *state);

/*
 * What pg_get_constraintdef says of it, every name qualified, without NOT
 * VALID.
 */
extern char *constraint_text(Oid constraint);

/*
 * Validates the constraint of that name on relid and its partitions, each leaf
 * by a statement of its own, then all above; BUILD_DONE: all are valid.
 */
extern BuildResult constraint_validate_next(Oid relid, const char *name,
											const char *doing,
											BuildPiece *piece);

/* Whether the column of that name is NOT NULL, for all rows. */
extern bool column_is_not_null(Oid relid, const char *column);

/*
 * The name of the NOT NULL constraint of the column, where the server has such
 * constraints; NULL: none.
 */
extern char *not_null_constraint(Oid relid, const char *column,
								 bool *validated);

/* Whether a primary key has the column, or it is an identity column. */
extern bool column_must_not_be_null(Oid relid, const char *column);

/* The table of relid's tree that has a primary key, or InvalidOid. */
extern Oid	primary_key_table(Oid relid);

/*
 * Whether the step has given relid its constraint, or NOT NULL; where not, a
 * NOTICE says that it stays.
 */
extern bool constraint_is_made(Oid relid, const Step *step);

/*
 * For people: how to find the rows that do not satisfy the constraint or NOT
 * NULL of step.
 */
extern char *constraint_violation_hint(const Step *step);

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
