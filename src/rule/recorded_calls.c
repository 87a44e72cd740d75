/*
 * recorded_calls.c
 *		Does a rule still call the functions that it did when it was stored?
 *
 * A function or operator that is created later may fit the text of a rule
 * better than the one that it meant.  The text is parsed and run with rights
 * of the table's owner, so a role that may only create functions in a schema
 * must not be able to slip one in.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "rule/recorded_calls.h"
#include "rule/sync_trigger.h"

/* What the server itself records of a trigger has no columns. */
bool
recorded_calls(Oid trigger, List **functions)
{
	bool		recorded = false;
	ListCell   *lc;

	*functions = NIL;
	foreach(lc, trigger_dependencies(trigger))
	{
		Form_pg_depend row = lfirst(lc);

		recorded |= row->refobjsubid != 0;
		if (row->refclassid == ProcedureRelationId)
			*functions = lappend_oid(*functions, row->refobjid);
	}
	return recorded;
}

typedef struct CallSearch
{
	List	   *functions;
	Oid			unknown;		/* one that is not among them */
} CallSearch;

static bool
function_is_unknown(Oid function, CallSearch *search)
{
	if (function < FirstUnpinnedObjectId ||
		list_member_oid(search->functions, function))
		return false;
	search->unknown = function;
	return true;
}

/*
 * Only what is looked up by its name: the input function of a type, for one,
 * belongs to the type.
 */
static bool
find_unknown_walker(Node *node, void *context)
{
	CallSearch *search = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			if (function_is_unknown(((FuncExpr *) node)->funcid, search))
				return true;
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (function_is_unknown(get_opcode(((OpExpr *) node)->opno), search))
				return true;
			break;
		case T_ScalarArrayOpExpr:
			if (function_is_unknown(get_opcode(((ScalarArrayOpExpr *) node)->opno),
									search))
				return true;
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
			{
				if (function_is_unknown(get_opcode(lfirst_oid(lc)), search))
					return true;
			}
			break;
		default:
			break;
	}
	return expression_tree_walker(node, find_unknown_walker, context);
}

char *
recorded_calls_lack(Node *expression, List *functions)
{
	CallSearch	search = {functions, InvalidOid};
	ObjectAddress function;

	if (!find_unknown_walker(expression, &search))
		return NULL;
	ObjectAddressSet(function, ProcedureRelationId, search.unknown);
	return getObjectDescription(&function, false);
}
