/*
 * built.c
 *		Is what a migration has built still there?
 *
 * A step that is done says that something was built, not that it is there:
 * anybody who may alter the table may have dropped it since, or made another
 * of its name.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"
#include "ddl/index_build.h"
#include "ddl/index_definition.h"
#include "ddl/key.h"
#include "ending/built.h"

/*-------------------------------------------------------------------------
 * An object that has another text than its step: one of its columns may have
 * been renamed, which the user may do.
 *-------------------------------------------------------------------------
 */

static bool
column_is_there(Oid relid, const char *name)
{
	return get_attnum(relid, name) != InvalidAttrNumber;
}

/* raw_expression_tree_walker: stops at a column that is not in the table. */
static bool
names_missing_column(Node *node, void *relid)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *field = llast(((ColumnRef *) node)->fields);

		return IsA(field, String) &&
			!column_is_there(*(Oid *) relid, strVal(field));
	}
	if (IsA(node, IndexElem) && ((IndexElem *) node)->name != NULL)
		return !column_is_there(*(Oid *) relid, ((IndexElem *) node)->name);
	return raw_expression_tree_walker(node, names_missing_column, relid);
}

static bool
key_misses_column(List *names, Oid relid)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (!column_is_there(relid, strVal(lfirst(lc))))
			return true;
	}
	return false;
}

static bool
index_was_renamed_under(const Step *step)
{
	IndexStmt  *stmt = index_definition_parse(psprintf("CREATE INDEX ON %s %s",
													   quoting_relation(step->relation),
													   step->definition));
	Oid			relid = step->relation;

	return names_missing_column((Node *) stmt->indexParams, &relid) ||
		names_missing_column((Node *) stmt->indexIncludingParams, &relid) ||
		names_missing_column(stmt->whereClause, &relid);
}

static bool
constraint_was_renamed_under(const Step *step, const Constraint *constraint)
{
	Oid			relid = step->relation;
	Oid			referenced;

	if (constraint->contype != CONSTR_FOREIGN)
		return key_misses_column(constraint->keys, relid) ||
			key_misses_column(constraint->including, relid) ||
			names_missing_column(constraint->raw_expr, &relid);
	referenced = RangeVarGetRelid(constraint->pktable, NoLock, true);
	return !OidIsValid(referenced) ||
		key_misses_column(constraint->fk_attrs, relid) ||
		key_misses_column(constraint->pk_attrs, referenced);
}

/*-------------------------------------------------------------------------
 * One object of each kind.
 *-------------------------------------------------------------------------
 */

static FoundIndex
find_index_by_text(const Step *step)
{
	Step		open = *step;

	/* of one that is done the text is not compared */
	open.done = false;
	return index_find(&open, step->relation, step->object);
}

static char *
problem_of_index(const Step *step)
{
	switch (find_index_by_text(step).state)
	{
		case FOUND_VALID:
			return NULL;
		case FOUND_INVALID:
			return pstrdup("is not valid");
		case FOUND_INCOMPLETE:
			return pstrdup("is not on every partition, or not valid there");
		case FOUND_NOTHING:
			/* a key added USING INDEX has taken the index since */
			return index_has_become_constraint(step) ? NULL
				: pstrdup("does not exist any more");
		case FOUND_OTHER:
			break;
	}
	return index_was_renamed_under(step) || index_has_other_options(step) ? NULL
		: pstrdup("is another one: drop or rename that one");
}

/* Only from server 18 on can one be NOT ENFORCED: the column is not there before. */
static bool
constraint_is_enforced(Oid constraint)
{
	TandemQuery query;
	bool		enforced = true;

	query_begin(&query);
	query_oid(&query, constraint);
	if (query_run(&query,
				  "SELECT coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true) "
				  "FROM pg_constraint c WHERE c.oid = $1") > 0)
		enforced = query_get_bool(0, 1);
	query_end(&query);
	return enforced;
}

static bool
constraint_is_another(const Step *step, Oid oid)
{
	Constraint *constraint = constraint_read(step->object, step->definition);
	char	   *text = constraint_text(oid);

	return !(constraint_is_key(constraint) ? key_is_met_by(constraint, text)
			 : strcmp(text, step->definition) == 0) &&
		!constraint_was_renamed_under(step, constraint);
}

/* The server cannot have a CHECK enforced again before version 19. */
static char *
problem_of_enforcement(const Step *step, const Constraint *constraint)
{
	return psprintf(constraint->contype == CONSTR_FOREIGN
					? "is not enforced: run ALTER TABLE %s ALTER CONSTRAINT %s ENFORCED, or drop it"
					: "is not enforced: run ALTER TABLE %s DROP CONSTRAINT %s",
					quoting_relation(step->relation),
					quote_identifier(step->object));
}

static char *
problem_of_constraint(const Step *step)
{
	Constraint *constraint = constraint_read(step->object, step->definition);
	bool		key = constraint_is_key(constraint);
	ConstraintState state;

	if (!constraint_find(step->relation, step->object, &state))
		return pstrdup("does not exist any more");
	if (!constraint_is_enforced(state.oid))
		return problem_of_enforcement(step, constraint);
	if (!state.validated ||
		(key && !get_index_isvalid(get_constraint_index(state.oid))))
		return pstrdup("is not valid");
	return constraint_is_another(step, state.oid)
		? pstrdup("is another one: drop or rename that one") : NULL;
}

static char *
problem_of_not_null(const Step *step)
{
	ListCell   *lc;

	/* renamed, or dropped with what it was wanted for */
	if (!column_is_there(step->relation, step->object))
		return NULL;
	foreach(lc, table_tree(step->relation))
	{
		if (!column_is_not_null(lfirst_oid(lc), step->object))
			return lfirst_oid(lc) == step->relation
				? pstrdup("is not set any more")
				: psprintf("is not set any more on partition %s",
						   quoting_relation(lfirst_oid(lc)));
	}
	return NULL;
}

bool
step_is_overtaken(const Step *step)
{
	TandemQuery query;
	bool		overtaken;

	query_begin(&query);
	query_int(&query, step->migration_id);
	query_oid(&query, step->relation);
	query_name(&query, step->object);
	query_bool(&query, step->kind == STEP_NOT_NULL);
	(void) query_run(&query,
					 "SELECT CASE WHEN $4 THEN EXISTS (SELECT FROM tandem._lost_not_nulls l WHERE l.migration = $1 AND l.relation = $2 AND l.column_name = $3) ELSE EXISTS (SELECT FROM tandem._carried c "
					 "WHERE c.migration = $1 AND c.relation = $2 AND c.object = $3 AND c.given <> 'statistics' AND c.changed) END");
	overtaken = query_get_bool(0, 1);
	query_end(&query);
	return overtaken;
}

/* What its problem is whatever has become of that which it was made of. */
static char *
problem_of_step(const Step *step)
{
	switch (step->kind)
	{
		case STEP_INDEX:
			return problem_of_index(step);
		case STEP_CONSTRAINT:
			return problem_of_constraint(step);
		case STEP_NOT_NULL:
			return problem_of_not_null(step);
		default:
			return NULL;
	}
}

char *
step_problem(const Step *step)
{
	char	   *problem = relation_exists(step->relation) ? problem_of_step(step) : NULL;

	return problem && step_is_overtaken(step) ? NULL : problem;
}

bool
step_object_is_another(const Step *step)
{
	ConstraintState state;

	if (!step->done || !relation_exists(step->relation))
		return false;
	switch (step->kind)
	{
		case STEP_INDEX:
			return find_index_by_text(step).state == FOUND_OTHER &&
				!index_was_renamed_under(step);
		case STEP_CONSTRAINT:
			return constraint_find(step->relation, step->object, &state) &&
				constraint_is_another(step, state.oid);
		default:
			return false;
	}
}
