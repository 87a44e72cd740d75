/*
 * constraint_build.c
 *		Adding the constraint of a step without blocking, and taking it away.
 *
 * CHECK and FOREIGN KEY: added NOT VALID under a short lock, so that writers
 * keep to it from then on, then validated, which stops no writer.  A
 * partitioned table before server 18 takes no foreign key NOT VALID: there each
 * leaf gets its own, and when all are valid the one of the table above adopts
 * them and reads no row (tryAttachPartitionForeignKey).
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"
#include "ddl/constraint_state.h"
#include "ddl/key_build.h"
#include "ddl/partitions.h"
#include "ddl/statement.h"

static void
lock_tables(List *relids, const Constraint *constraint)
{
	lock_relations(list_concat_unique_oid(relids,
										  constraint_referenced_tables(constraint)),
				   constraint_lock_mode(constraint));
}

static void
add_to(Oid relid, const Step *step, const char *suffix)
{
	ddl_run_stored(relid,
				   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s",
							quoting_relation(relid),
							quote_identifier(step->object),
							step->definition, suffix));
	step_note_table(step->id, relid);
}

static bool
has_constraint(Oid relid, const Step *step, ConstraintState *state)
{
	if (!constraint_find(relid, step->object, state))
		return false;
	/* once done it is the user's: a column may be renamed */
	if (!step->done &&
		strcmp(constraint_text(state->oid), step->definition) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table %s has another constraint \"%s\"",
						quoting_relation(relid), step->object),
				 errdetail("Its definition is: %s", constraint_text(state->oid)),
				 errhint("Drop or rename it, and call tandem.migrate again.")));
	return true;
}

static char *
checking(const Step *step)
{
	return psprintf("checking constraint %s", quote_identifier(step->object));
}

static BuildResult
validate_next(Oid relid, const Step *step, BuildPiece *piece)
{
	return constraint_validate_next(relid, step->object, checking(step), piece);
}

/* A leaf without a valid foreign key of its own, or InvalidOid. */
static Oid
leaf_to_do(const Step *step, bool *is_there)
{
	ListCell   *lc;
	ConstraintState state;

	foreach(lc, table_leaves(step->relation))
	{
		*is_there = has_constraint(lfirst_oid(lc), step, &state);
		if (!*is_there || !state.validated)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

static BuildResult
leaf_key_next(const Step *step, const Constraint *constraint,
			  BuildPiece *piece)
{
	bool		is_there;
	Oid			leaf = leaf_to_do(step, &is_there);

	if (OidIsValid(leaf) && is_there)
		return validate_next(leaf, step, piece);
	if (OidIsValid(leaf))
	{
		lock_tables(list_make1_oid(leaf), constraint);
		add_to(leaf, step, " NOT VALID");
		return BUILD_AGAIN;
	}
	lock_tables(table_tree(step->relation), constraint);
	/* a partition attached meanwhile would be read under the lock */
	if (!OidIsValid(leaf_to_do(step, &is_there)))
		add_to(step->relation, step, "");
	return BUILD_AGAIN;
}

static BuildResult
checked_build_next(const Step *step, const Constraint *constraint,
				   BuildPiece *piece)
{
	ConstraintState state;

	if (has_constraint(step->relation, step, &state))
		return state.validated ? BUILD_DONE
			: validate_next(step->relation, step, piece);
	if (constraint->contype == CONSTR_FOREIGN &&
		get_rel_relkind(step->relation) == RELKIND_PARTITIONED_TABLE &&
		!compat_partitioned_foreign_key_not_valid())
		return leaf_key_next(step, constraint, piece);
	lock_tables(table_tree(step->relation), constraint);
	add_to(step->relation, step, " NOT VALID");
	return BUILD_AGAIN;
}

/* Whether the table of the step is still there. */
static bool
table_exists(const Step *step)
{
	return get_rel_relkind(step->relation) != '\0';
}

BuildResult
constraint_build_next(const Step *step, BuildPiece *piece)
{
	Constraint *constraint = constraint_read(step->object, step->definition);

	if (!table_exists(step))
		return BUILD_DONE;
	return constraint_is_key(constraint)
		? key_build_next(step, constraint, piece)
		: checked_build_next(step, constraint, piece);
}

/* One that hangs on the table above goes with that. */
static void
drop_checked(Oid relid, const Step *step)
{
	ConstraintState state;

	if (!constraint_find(relid, step->object, &state) ||
		OidIsValid(state.parent) ||
		(state.type != CONSTRAINT_CHECK && state.type != CONSTRAINT_FOREIGN))
		return;
	if (constraint_is_made(relid, step))
		ddl_run_stored(relid,
					   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
								quoting_relation(relid),
								quote_identifier(step->object)));
}

void
constraint_build_undo(const Step *step)
{
	Constraint *constraint = constraint_read(step->object, step->definition);
	ListCell   *lc;

	if (!table_exists(step))
		return;
	if (constraint_is_key(constraint))
	{
		key_build_undo(step, constraint);
		return;
	}
	drop_checked(step->relation, step);
	if (constraint->contype != CONSTR_FOREIGN)
		return;
	foreach(lc, table_leaves(step->relation))
	{
		if (lfirst_oid(lc) != step->relation)
			drop_checked(lfirst_oid(lc), step);
	}
}

List *
constraint_build_locks(const Step *step)
{
	if (step->kind != STEP_CONSTRAINT)
		return NIL;
	return constraint_referenced_tables(constraint_read(step->object,
														step->definition));
}
