/*
 * arrived_default.c
 *		Columns that a row from another server does not bring, and that get
 *		their default here.
 *
 * An apply worker does not tell its triggers which columns have come.  But it has
 * just evaluated the default of each one that has not: a sequence still has the
 * number that was drawn, and the time is the same.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "core/authority.h"
#include "row/arrived_default.h"
#include "row/quarantine.h"
#include "rule/rule_compile.h"

/* Returns the sequence that the expression draws a number from, or InvalidOid. */
static Oid
sequence_of_number(const Node *node)
{
	const FuncExpr *call = (const FuncExpr *) node;
	const Node *sequence;

	if (IsA(node, NextValueExpr))
		return ((const NextValueExpr *) node)->seqid;
	if (!IsA(node, FuncExpr) || call->funcid != F_NEXTVAL)
		return InvalidOid;
	sequence = linitial(call->args);
	return IsA(sequence, Const) && !((const Const *) sequence)->constisnull
		? DatumGetObjectId(((const Const *) sequence)->constvalue) : InvalidOid;
}

typedef struct LastNumber
{
	Oid			sequence;
	int64		number;
} LastNumber;

static void
read_last_number(void *arg)
{
	LastNumber *last = arg;

	last->number = DatumGetInt64(DirectFunctionCall1(currval_oid,
													 ObjectIdGetDatum(last->sequence)));
}

static Datum
number_of_type(int64 number, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return Int16GetDatum((int16) number);
		case INT4OID:
			return Int32GetDatum((int32) number);
		default:
			return Int64GetDatum(number);
	}
}

/*
 * Puts the number that was drawn last in place of a draw.  A sequence of which
 * this session has drawn none stays, and is volatile.
 */
static Node *
replace_draws(Node *node, void *context)
{
	LastNumber	last;

	if (node == NULL)
		return NULL;
	last.sequence = sequence_of_number(node);
	if (OidIsValid(last.sequence) && quarantine_try(read_last_number, &last) == NULL)
		return (Node *) makeConst(exprType(node), -1, InvalidOid,
								  exprType(node) == INT2OID ? 2 : exprType(node) == INT4OID ? 4 : 8,
								  number_of_type(last.number, exprType(node)),
								  false,
								  exprType(node) != INT8OID || FLOAT8PASSBYVAL);
	return expression_tree_mutator(node, replace_draws, context);
}

bool
arrived_default_is_value(Relation rel, const RuleColumn *column, Datum value,
						 bool isnull, ExprContext *econtext,
						 const char *search_path)
{
	MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	Node	   *expression = relation_rules_default_as_owner(rel, column->attnum,
															 search_path);
	bool		is_default = false;

	if (expression)
		expression = replace_draws(expression, NULL);
	if (expression && !contain_volatile_functions(expression))
	{
		AuthorityScope scope;
		bool		default_null;
		Datum		default_value;

		authority_enter_owner(&scope, rel, search_path);
		default_value = ExecEvalExpr(ExecInitExpr((Expr *) expression, NULL),
									 econtext, &default_null);
		authority_leave(&scope);
		is_default = column_equal(column, value, isnull, default_value, default_null);
	}
	MemoryContextSwitchTo(caller);
	return is_default;
}
