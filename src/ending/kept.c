/*
 * kept.c
 *		What the columns that keep_old leaves in a table hold after contract.
 *
 * An INSERT of the new release does not name them: they get their default.  The
 * functions here are for tandem._contract_parts, which anybody may ask through
 * tandem.migrations: they run no function of a user, and wait for nobody.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_constraint.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/transaction.h"
#include "ending/kept.h"
#include "rule/expression.h"

SQL_FUNCTION(tandem_default_kind);
SQL_FUNCTION(tandem_check_may_fail);

Node *
kept_column_default(Relation rel, AttrNumber number)
{
	AuthorityScope scope;
	Node	   *value;

	authority_enter_stored(&scope, RelationGetRelid(rel), AUTHORITY_PINNED_PATH);
	value = build_column_default(rel, number);
	if (value != NULL)
		value = expression_fold(value);
	authority_leave(&scope);
	return value;
}

/* Evaluates no function of a user. */
static Node *
fold_builtin(Node *expression)
{
	return expression_is_builtin(expression) ? expression_fold(expression)
		: expression;
}

static bool
is_null_constant(const Node *node)
{
	return node == NULL ||
		(IsA(node, Const) && ((const Const *) node)->constisnull);
}

typedef struct DefaultQuestion
{
	Relation	rel;
	AttrNumber	number;
	const char *kind;
} DefaultQuestion;

static void
tell_default_kind(void *arg)
{
	DefaultQuestion *question = arg;
	Node	   *value = build_column_default(question->rel, question->number);

	if (value && (contain_volatile_functions(value) ||
				  IsA(value, NextValueExpr)))
		question->kind = "varies";
	else if (value == NULL || is_null_constant(fold_builtin(value)))
		question->kind = "null";
}

/*
 * _default_kind(relation, number): what rows get that do not name the column:
 * 'null', 'varies' or 'repeats', the same value again and again.  NULL if another
 * session has locked the table, or it has no such column.
 */
Datum
tandem_default_kind(PG_FUNCTION_ARGS)
{
	bool		gone;
	DefaultQuestion question = {
		.rel = relation_open_nowait(PG_GETARG_OID(0), &gone),
		.number = (AttrNumber) PG_GETARG_INT32(1),
		/* also of one that cannot be evaluated */
		.kind = "repeats"
	};

	if (question.rel == NULL)
		PG_RETURN_NULL();
	if (question.number < 1 ||
		question.number > RelationGetNumberOfAttributes(question.rel))
	{
		relation_close(question.rel, AccessShareLock);
		PG_RETURN_NULL();
	}
	(void) subtransaction_try(tell_default_kind, &question);
	relation_close(question.rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(question.kind));
}

typedef struct CheckQuestion
{
	Relation	rel;
	List	   *numbers;		/* of the columns that hold their default */
	Oid			constraint;
	bool		holds;
} CheckQuestion;

/* Puts its default in the place of each such column. */
static Node *
put_defaults_mutator(Node *node, void *context)
{
	CheckQuestion *question = context;
	Var		   *var = (Var *) node;
	Node	   *value;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var) || !list_member_int(question->numbers, var->varattno))
		return expression_tree_mutator(node, put_defaults_mutator, context);
	value = build_column_default(question->rel, var->varattno);
	return value ? value
		: (Node *) makeNullConst(var->vartype, var->vartypmod, var->varcollid);
}

static Node *
expression_of_check(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Node	   *expression = NULL;
	bool		isnull = true;
	Datum		stored = 0;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	stored = SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_conbin, &isnull);
	if (!isnull)
		expression = stringToNode(TextDatumGetCString(stored));
	ReleaseSysCache(tuple);
	return expression;
}

static void
try_check(void *arg)
{
	CheckQuestion *question = arg;
	Node	   *check = expression_of_check(question->constraint);
	Const	   *result;

	if (check == NULL)
		return;
	result = (Const *) fold_builtin(put_defaults_mutator(check, question));
	/* NULL passes */
	question->holds = IsA(result, Const) &&
		(result->constisnull || DatumGetBool(result->constvalue));
}

/*
 * _check_may_fail(constraint, numbers): may a CHECK refuse a row that holds the
 * default in these columns of its table?  Of one that calls a function of a
 * user, or that the other columns decide, it may.  NULL if another session has
 * locked the table.
 */
Datum
tandem_check_may_fail(PG_FUNCTION_ARGS)
{
	bool		gone;
	CheckQuestion question = {
		.constraint = PG_GETARG_OID(0),
		.numbers = ints_from_array(PG_GETARG_DATUM(1))
	};
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(question.constraint));

	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();
	question.rel = relation_open_nowait(((Form_pg_constraint) GETSTRUCT(tuple))->conrelid,
										&gone);
	ReleaseSysCache(tuple);
	if (question.rel == NULL)
		PG_RETURN_NULL();
	(void) subtransaction_try(try_check, &question);
	relation_close(question.rel, AccessShareLock);
	PG_RETURN_BOOL(!question.holds);
}
