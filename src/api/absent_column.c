/*
 * absent_column.c
 *		What is stored in a column for a release that does not have it: without down
 *		its default, or NULL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/absent_column.h"
#include "api/planned_builds.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"

typedef struct AbsentColumn
{
	const SyncRule *rule;
	Relation	rel;
	AttrNumber	number;
	Node	   *value;			/* its default, or a NULL */
	bool		has_default;
} AbsentColumn;

static void
refuse_absent(const SyncRule *rule, int code, const char *message)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s", message),
			 errdetail("Every INSERT of release %d, which does not know the column, would fail until contract.",
					   rule->release),
			 errhint("Give down, which computes it for the rows of the new release: SELECT tandem.drop_column(%s, %s, %s, down => '...'); or give it %s first.",
					 quote_literal_cstr(rule->migration),
					 quote_literal_cstr(quoting_relation(rule->relation)),
					 quote_literal_cstr(linitial(rule->old_columns)),
					 code == ERRCODE_NOT_NULL_VIOLATION ? "a default" : "another default")));
}

static char *
title_of(const SyncRule *rule)
{
	return psprintf("column \"%s\" of table \"%s\"", (char *) linitial(rule->old_columns),
					quoting_shown_name(rule->relation));
}

/*-------------------------------------------------------------------------
 * NOT NULL, of the column, its domain or a migration.
 *-------------------------------------------------------------------------
 */

static bool
domain_is_not_null(Oid type)
{
	bool		not_null = false;

	while (!not_null && get_typtype(type) == TYPTYPE_DOMAIN)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));

		if (!HeapTupleIsValid(tuple))
			break;
		not_null = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
		type = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
		ReleaseSysCache(tuple);
	}
	return not_null;
}

static void
check_not_null(const AbsentColumn *column)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(column->rel), column->number - 1);
	char	   *other = planned_not_null(column->rule);

	if (column->has_default ||
		!(att->attnotnull || other || domain_is_not_null(att->atttypid)))
		return;
	refuse_absent(column->rule, ERRCODE_NOT_NULL_VIOLATION,
				  other ? psprintf("%s becomes NOT NULL by migration \"%s\", and has no default",
								   title_of(column->rule), other)
				  : psprintf("%s is NOT NULL and has no default", title_of(column->rule)));
}

/*-------------------------------------------------------------------------
 * A CHECK that refuses the value, whatever the other columns are; a UNIQUE that
 * takes it once.
 *-------------------------------------------------------------------------
 */

static Node *
put_value_mutator(Node *node, void *context)
{
	const AbsentColumn *column = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varattno == column->number)
		return copyObject(column->value);
	return expression_tree_mutator(node, put_value_mutator, context);
}

typedef struct FoldCall
{
	Relation	rel;
	Node	   *expression;
} FoldCall;

static void
fold_as_owner(void *arg)
{
	FoldCall   *call = arg;
	AuthorityScope scope;

	authority_enter_owner(&scope, call->rel, AUTHORITY_PINNED_PATH);
	call->expression = expression_fold(call->expression);
	authority_leave(&scope);
}

/* Returns the constant that the expression is for each row, or NULL. */
static Const *
constant_of(const AbsentColumn *column, Node *expression)
{
	FoldCall	call = {column->rel, expression};
	ErrorData  *error = subtransaction_try(fold_as_owner, &call);

	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return error == NULL && IsA(call.expression, Const) ? (Const *) call.expression : NULL;
}

static void
check_checks(AbsentColumn *column)
{
	TupleConstr *constraints = RelationGetDescr(column->rel)->constr;
	int			count = constraints ? constraints->num_check : 0;

	for (int i = 0; i < count; i++)
	{
		Node	   *expression = stringToNode(constraints->check[i].ccbin);
		Const	   *result = constant_of(column, put_value_mutator(expression, column));

		if (result && !result->constisnull && !DatumGetBool(result->constvalue))
			refuse_absent(column->rule, ERRCODE_CHECK_VIOLATION,
						  psprintf("constraint \"%s\" refuses %s of %s", constraints->check[i].ccname,
								   column->has_default ? "the default" : "a NULL",
								   title_of(column->rule)));
	}
}

static void
check_unique(const AbsentColumn *column)
{
	Const	   *value = column->has_default ? constant_of(column, column->value) : NULL;
	TandemQuery query;

	if (value == NULL || value->constisnull)
		return;
	query_begin(&query);
	query_oid(&query, column->rule->relation);
	query_int(&query, column->number);
	if (query_end_found(&query, query_run_latest(&query,
												 "SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indislive AND i.indpred IS NULL "
												 "AND i.indnkeyatts = 1 AND i.indkey[0] = $2 LIMIT 1")))
		refuse_absent(column->rule, ERRCODE_UNIQUE_VIOLATION,
					  psprintf("%s is unique, and has one default for all rows", title_of(column->rule)));
}

void
absent_column_check(const SyncRule *rule)
{
	AbsentColumn column = {.rule = rule,.rel = relation_open_present(rule->relation, AccessShareLock)};
	Form_pg_attribute att;

	column.number = get_attnum(rule->relation, linitial(rule->old_columns));
	if (rule->down == NIL && column.number > 0)
	{
		att = TupleDescAttr(RelationGetDescr(column.rel), column.number - 1);
		if (att->attgenerated == '\0')
		{
			column.value = build_column_default(column.rel, column.number);
			column.has_default = column.value != NULL;
			if (column.value == NULL)
				column.value = (Node *) makeNullConst(att->atttypid, att->atttypmod, att->attcollation);
			check_not_null(&column);
			check_checks(&column);
			check_unique(&column);
		}
	}
	table_close(column.rel, NoLock);
}
