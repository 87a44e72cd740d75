/*
 * constraint_build.h
 *		Builds CHECK and FOREIGN KEY constraints, piece by piece.
 */
#ifndef TANDEM_CONSTRAINT_BUILD_H
#define TANDEM_CONSTRAINT_BUILD_H

#include "catalog/step.h"
#include "ddl/build_piece.h"

typedef struct ConstraintState
{
	Oid			oid;
	char		type;			/* pg_constraint.contype */
	bool		validated;
	Oid			parent;			/* constraint of the partitioned table, or
								 * InvalidOid */
} ConstraintState;

/*
 * Looks up the constraint of that name on relid.  Returns false if there is
 * none.  Takes no lock.
 */
extern bool constraint_find(Oid relid, const char *name,
							ConstraintState *state);

/*
 * Returns the tree that the server stores in an attribute of a catalog row,
 * palloc'd, or NULL if it is null or the object does not exist any more.  cache
 * is a syscache of that catalog by OID.
 */
extern Node *catalog_expression(int cache, Oid object, AttrNumber attribute);

/*
 * Returns the expression of a CHECK as the server stores it, palloc'd, or NULL
 * if the constraint has none or does not exist any more.
 */
extern Node *constraint_expression(Oid constraint);

/*
 * Returns the result of pg_get_constraintdef with all names qualified and
 * without NOT VALID, palloc'd.
 */
extern char *constraint_text(Oid constraint);

/*
 * Refuses to go on if the constraint of that name is another one than wanted, a text as
 * of constraint_text; NULL: it is of another type.
 */
extern void constraint_refuse_other(Oid relid, const char *name, Oid constraint,
									const char *wanted);

/* Returns the functions of users that it calls (see Step), palloc'd. */
extern char *constraint_calls(Oid constraint);

/*
 * Finds the next piece of validating the constraint of that name on relid and
 * its partitions: each leaf in a statement of its own, then the tables above.
 * Returns BUILD_DONE if all are valid.
 */
extern BuildResult constraint_validate_next(Oid relid, const char *name,
											const char *doing,
											BuildPiece *piece);

/* Is the column NOT NULL, and validated? */
extern bool column_is_not_null(Oid relid, const char *column);

/*
 * Returns the name of the column's NOT NULL constraint, palloc'd, and whether
 * it is validated.  NULL if there is none, or before version 18.
 */
extern char *not_null_constraint(Oid relid, const char *column,
								 bool *validated);

/* Does a primary key contain the column, or is it an identity column? */
extern bool column_must_not_be_null(Oid relid, const char *column);

/*
 * Returns a table of relid's partition tree that has a primary key, or
 * InvalidOid.
 */
extern Oid	primary_key_table(Oid relid);

/*
 * Was the constraint or NOT NULL of relid made by the step?  If not, a NOTICE
 * says that it is kept.
 */
extern bool constraint_is_made(Oid relid, const Step *step);

/*
 * Returns a hint on how to find the rows that violate the constraint or NOT
 * NULL of the step, palloc'd.
 */
extern char *constraint_violation_hint(const Step *step);

/*
 * Does or returns the next piece of the constraint (STEP_CONSTRAINT) or NOT
 * NULL (STEP_NOT_NULL) of the step.  Call as the table's owner, in a
 * transaction of its own.  Errors: strong locks, as for lock_relations;
 * another constraint has the name.
 */
extern BuildResult constraint_build_next(const Step *step, BuildPiece *piece);
extern BuildResult not_null_build_next(const Step *step, BuildPiece *piece);

/*
 * Drops what the step has made.  The caller has locked the tables of the
 * migration in ACCESS EXCLUSIVE mode, and those returned by
 * constraint_build_locks, too: the tables that a foreign key refers to.
 */
extern void constraint_build_undo(const Step *step);
extern void not_null_build_undo(const Step *step);
extern List *constraint_build_locks(const Step *step);

#endif							/* TANDEM_CONSTRAINT_BUILD_H */
