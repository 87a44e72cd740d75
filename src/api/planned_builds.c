/*
 * planned_builds.c
 *		What migrate is to build, and columns and tables that go.
 *
 * What is built holds for both releases from migrate on.  Of a column that the new
 * one does not have it would refuse what that one writes, and contract would drop it
 * with the column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "api/carried.h"
#include "api/planned_builds.h"
#include "core/query.h"
#include "core/text.h"
#include "ddl/constraint_definition.h"
#include "ddl/index_definition.h"

/*-------------------------------------------------------------------------
 * The columns that a definition names.
 *-------------------------------------------------------------------------
 */

/* raw_expression_tree_walker: stops at one of the columns. */
static bool
names_column(Node *node, void *columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *field = llast(((ColumnRef *) node)->fields);

		return IsA(field, String) && text_is_among(strVal(field), columns);
	}
	if (IsA(node, IndexElem) && ((IndexElem *) node)->name != NULL)
		return text_is_among(((IndexElem *) node)->name, columns);
	return raw_expression_tree_walker(node, names_column, columns);
}

static bool
lists_column(List *names, List *columns)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (text_is_among(strVal(lfirst(lc)), columns))
			return true;
	}
	return false;
}

static bool
index_names_column(const Step *step, List *columns)
{
	IndexStmt  *stmt = index_definition_parse(psprintf("CREATE INDEX ON %s %s",
													   quoting_relation(step->relation),
													   step->definition));

	return names_column((Node *) stmt->indexParams, columns) ||
		names_column((Node *) stmt->indexIncludingParams, columns) ||
		names_column(stmt->whereClause, columns);
}

/* The stored definition names the table that it refers to with its schema. */
static bool
constraint_refers_to(const Constraint *constraint, Oid relid)
{
	return constraint->contype == CONSTR_FOREIGN &&
		RangeVarGetRelid(constraint->pktable, NoLock, true) == relid;
}

static bool
constraint_names_column(const Step *step, Oid relid, List *columns)
{
	Constraint *constraint = constraint_read(step->object, step->definition);

	if (constraint_refers_to(constraint, relid) && lists_column(constraint->pk_attrs, columns))
		return true;
	return step->relation == relid &&
		(lists_column(constraint->keys, columns) || lists_column(constraint->including, columns) ||
		 lists_column(constraint->fk_attrs, columns) || names_column(constraint->raw_expr, columns));
}

static bool
step_names_column(const Step *step, Oid relid, List *columns)
{
	if (step->kind == STEP_CONSTRAINT)
		return constraint_names_column(step, relid, columns);
	if (step->relation != relid)
		return false;
	return step->kind == STEP_NOT_NULL ? text_is_among(step->object, columns)
		: index_names_column(step, columns);
}

/* What stands on several columns that change is built anew with each of them. */
static bool
is_carried(const Migration *migration, const Step *step)
{
	return step->kind != STEP_NOT_NULL &&
		carried_name(migration->id, step->relation, step->object) != step->object;
}

static char *
describe_step(const Step *step)
{
	return step->kind == STEP_NOT_NULL
		? psprintf("a NOT NULL of column %s", quote_identifier(step->object))
		: psprintf("%s %s of table %s", step_kind_name(step->kind),
				   pstrdup(quote_identifier(step->object)), quoting_relation(step->relation));
}

static const char *
call_of_step(const Step *step)
{
	switch (step->kind)
	{
		case STEP_NOT_NULL:
			return "tandem.add_not_null";
		case STEP_CONSTRAINT:
			return "tandem.add_constraint";
		default:
			return "tandem.add_index";
	}
}

static char *
hint_for_step(const Migration *migration, const Step *step)
{
	char	   *name = quote_literal_cstr(migration->name);

	if (is_carried(migration, step))
		return psprintf("To take that back, run CALL tandem.abort(%s); and the script with this call before that of tandem.change_column, to which give leave => '{%s}'.",
						name, quote_identifier(carried_name(migration->id, step->relation, step->object)));
	return psprintf("To take the other call back, run CALL tandem.abort(%s); and the script without that call of %s, or with it after this one, if it means the column that takes the place.",
					name, call_of_step(step));
}

static void
refuse_step(const Migration *migration, const SyncRule *rule, const Step *step)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("migration \"%s\" builds %s, of a column that release %d is not to have",
					migration->name, describe_step(step), migration->release),
			 errdetail("It holds for what release %d writes, too, which does not have column %s of table %s; and contract would drop it with the column.",
					   migration->release, text_joined(rule->old_columns, "", ", "),
					   quoting_relation(rule->relation)),
			 errhint("%s", hint_for_step(migration, step))));
}

void
planned_builds_check_columns(const Migration *migration, const SyncRule *rule)
{
	if (rule->keep_old || migration->release == 0)
		return;
	for (StepKind kind = STEP_INDEX; kind <= STEP_CONSTRAINT; kind++)
	{
		ListCell   *lc;

		foreach(lc, step_list(migration->id, kind))
		{
			const Step *step = lfirst(lc);

			if (step_names_column(step, rule->relation, rule->old_columns) &&
				!(rule_changes_column(rule) && is_carried(migration, step)))
				refuse_step(migration, rule, step);
		}
	}
}

void
planned_builds_check_table(const Migration *migration, Oid relid)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, STEP_CONSTRAINT))
	{
		const Step *step = lfirst(lc);

		if (constraint_refers_to(constraint_read(step->object, step->definition), relid))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("migration \"%s\" builds %s, which refers to table \"%s\"",
							migration->name, describe_step(step), quoting_shown_name(relid)),
					 errhint("Leave one of the two calls out. To take the other one back, run CALL tandem.abort(%s); and the script without it.",
							 quote_literal_cstr(migration->name))));
	}
}

/*-------------------------------------------------------------------------
 * A NOT NULL, and a release whose rows have NULL there.
 *-------------------------------------------------------------------------
 */

char *
planned_not_null(const SyncRule *rule)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, rule->relation);
	query_name(&query, linitial(rule->old_columns));
	query_int(&query, rule->migration_id);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT m.name FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration AND m.phase NOT IN ('done', 'aborted') "
												   "WHERE t.relation = $1 AND t.kind = 'not null' AND t.object = $2 AND m.id <> $3 ORDER BY m.id LIMIT 1"));
}

static bool
column_has_default(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);
	bool		has = false;

	if (HeapTupleIsValid(tuple))
	{
		has = ((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef;
		ReleaseSysCache(tuple);
	}
	return has;
}

void
planned_not_null_check(const Step *step)
{
	ListCell   *lc;

	if (column_has_default(step->relation, step->object))
		return;
	foreach(lc, sync_list_of_relation(step->relation))
	{
		const SyncRule *rule = lfirst(lc);

		if (rule_drops_column(rule) && rule->down == NIL &&
			text_is_among(step->object, rule->old_columns))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("release %d does not have column \"%s\" of table \"%s\"",
							rule->release, step->object, quoting_shown_name(step->relation)),
					 errdetail("Migration \"%s\" drops it, so each INSERT of that release stores NULL there, which NOT NULL would refuse.",
							   rule->migration),
					 errhint("Leave the call out; or run CALL tandem.abort(%s); and its script with a down for that column.",
							 quote_literal_cstr(rule->migration))));
	}
}
