/*
 * spelled_out.c
 *		Rewrites comparisons whose operator the grammar does not let one name.
 *
 * CASE x WHEN y, NULLIF(x, y), x IS DISTINCT FROM y and (a, b) < (c, d) look
 * their operators up by name, with the search_path of the session that parses them, and
 * there is no way to write OPERATOR(schema.=) into them.  A searched CASE can
 * say the same with operators that are named.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "rule/spelled_out.h"

/* Set where a part of the expression cannot be rewritten. */
typedef struct SpellingState
{
	bool		impossible;
} SpellingState;

static Node *spell_mutator(Node *node, void *context);

static Node *
spell_part(Node *node, SpellingState *state)
{
	return node ? spell_mutator(node, state) : NULL;
}

/* Spells out an argument that the new form evaluates more than once. */
static Node *
spell_repeated_part(Node *node, SpellingState *state)
{
	if (contain_volatile_functions(node))
		state->impossible = true;
	return spell_part(node, state);
}

static Node *
make_comparison(Oid operator, Oid inputcollid, Node *left, Node *right)
{
	OpExpr	   *comparison = (OpExpr *) make_opclause(operator, BOOLOID, false,
													  (Expr *) left,
													  (Expr *) right,
													  InvalidOid, inputcollid);

	comparison->location = -1;
	return (Node *) comparison;
}

static CaseWhen *
make_when(Node *condition, Node *result)
{
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = (Expr *) condition;
	when->result = (Expr *) result;
	when->location = -1;
	return when;
}

static Node *
make_searched_case(Oid type, Oid collation, List *whens, Node *otherwise)
{
	CaseExpr   *searched = makeNode(CaseExpr);

	searched->casetype = type;
	searched->casecollid = collation;
	searched->args = whens;
	searched->defresult = (Expr *) otherwise;
	searched->location = -1;
	return (Node *) searched;
}

/* Not the IS NULL of a composite value, which tests its fields. */
static Node *
make_null_test(Node *arg, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) arg;
	test->nulltesttype = type;
	test->argisrow = false;
	test->location = -1;
	return (Node *) test;
}

/*
 * Puts the argument of a CASE in the place of its placeholder, in the left
 * operand of a comparison, where it may be coerced.  The coercion of an array
 * has a placeholder of its own for the element.
 */
static Node *
replace_test_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, CaseTestExpr))
		return copyObject((Node *) context);
	if (IsA(node, ArrayCoerceExpr))
	{
		ArrayCoerceExpr *coercion = copyObject((ArrayCoerceExpr *) node);

		coercion->arg = (Expr *) replace_test_mutator((Node *) coercion->arg,
													  context);
		return (Node *) coercion;
	}
	return expression_tree_mutator(node, replace_test_mutator, context);
}

static Node *
spell_case(CaseExpr *simple, SpellingState *state)
{
	List	   *whens = NIL;
	Node	   *arg = list_length(simple->args) > 1
	? spell_repeated_part((Node *) simple->arg, state)
	: spell_part((Node *) simple->arg, state);
	ListCell   *lc;

	foreach(lc, simple->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		OpExpr	   *comparison = (OpExpr *) when->expr;
		Node	   *left;

		if (!IsA(comparison, OpExpr) || list_length(comparison->args) != 2)
		{
			state->impossible = true;
			return copyObject((Node *) simple);
		}
		left = replace_test_mutator(linitial(comparison->args), arg);
		whens = lappend(whens,
						make_when(make_comparison(comparison->opno,
												  comparison->inputcollid, left,
												  spell_part(lsecond(comparison->args), state)),
								  spell_part((Node *) when->result, state)));
	}
	return make_searched_case(simple->casetype, simple->casecollid, whens,
							  spell_part((Node *) simple->defresult, state));
}

static Node *
spell_nullif(NullIfExpr *nullif, SpellingState *state)
{
	Node	   *value = spell_repeated_part(linitial(nullif->args), state);
	Node	   *equal = make_comparison(nullif->opno, nullif->inputcollid, value,
										spell_part(lsecond(nullif->args), state));
	Node	   *nothing = (Node *) makeNullConst(nullif->opresulttype, -1,
												 get_typcollation(nullif->opresulttype));

	return make_searched_case(nullif->opresulttype, nullif->opcollid,
							  list_make1(make_when(equal, nothing)),
							  copyObject(value));
}

static Node *
spell_distinct(DistinctExpr *distinct, SpellingState *state)
{
	Node	   *left = spell_repeated_part(linitial(distinct->args), state);
	Node	   *right = spell_repeated_part(lsecond(distinct->args), state);
	Node	   *equal = make_comparison(distinct->opno, distinct->inputcollid,
										left, right);
	CaseWhen   *no_left = make_when(make_null_test(copyObject(left), IS_NULL),
									make_null_test(copyObject(right), IS_NOT_NULL));
	CaseWhen   *no_right = make_when(make_null_test(copyObject(right), IS_NULL),
									 makeBoolConst(true, false));

	return make_searched_case(BOOLOID, InvalidOid, list_make2(no_left, no_right),
							  (Node *) makeBoolExpr(NOT_EXPR, list_make1(equal), -1));
}

/*
 * The first columns that are not equal decide.  Where one is NULL, so is the
 * result of its comparison, as in a row comparison.
 */
static Node *
spell_row_comparison(RowCompareExpr *row, SpellingState *state)
{
	Node	   *spelled = NULL;

	for (int i = list_length(row->opnos) - 1; i >= 0; i--)
	{
		Oid			collation = list_nth_oid(row->inputcollids, i);
		Node	   *left = spell_repeated_part(list_nth(row->largs, i), state);
		Node	   *right = spell_repeated_part(list_nth(row->rargs, i), state);
		Node	   *decides = make_comparison(list_nth_oid(row->opnos, i), collation,
											  left, right);
		Oid			lefttype;
		Oid			righttype;
		Oid			equality;

		if (spelled == NULL)
		{
			spelled = decides;
			continue;
		}
		op_input_types(list_nth_oid(row->opnos, i), &lefttype, &righttype);
		equality = get_opfamily_member(list_nth_oid(row->opfamilies, i),
									   lefttype, righttype, BTEqualStrategyNumber);
		if (!OidIsValid(equality))
		{
			state->impossible = true;
			return copyObject((Node *) row);
		}
		spelled = make_searched_case(BOOLOID, InvalidOid,
									 list_make1(make_when(make_comparison(equality, collation, copyObject(left),
																		  copyObject(right)),
														  spelled)),
									 decides);
	}
	return spelled;
}

static Node *
spell_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_CaseExpr:
			if (((CaseExpr *) node)->arg)
				return spell_case((CaseExpr *) node, context);
			break;
		case T_NullIfExpr:
			return spell_nullif((NullIfExpr *) node, context);
		case T_DistinctExpr:
			return spell_distinct((DistinctExpr *) node, context);
		case T_RowCompareExpr:
			return spell_row_comparison((RowCompareExpr *) node, context);
		default:
			break;
	}
	return expression_tree_mutator(node, spell_mutator, context);
}

Node *
spelled_out(Node *expression)
{
	SpellingState state = {false};
	Node	   *spelled = spell_mutator(expression, &state);

	return state.impossible ? NULL : spelled;
}
