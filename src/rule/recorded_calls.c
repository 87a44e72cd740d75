/*
 * recorded_calls.c
 *		Does a stored text still call the functions that it did at first?
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
#include "utils/regproc.h"

#include "core/text.h"
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

static List *
append_user_function(List *functions, Oid function)
{
	return function < FirstUnpinnedObjectId ? functions
		: list_append_unique_oid(functions, function);
}

/*
 * Only what is looked up by its name: the input function of a type, for one,
 * belongs to the type.
 */
static bool
find_calls_walker(Node *node, void *context)
{
	List	  **functions = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			*functions = append_user_function(*functions,
											  ((FuncExpr *) node)->funcid);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			*functions = append_user_function(*functions,
											  get_opcode(((OpExpr *) node)->opno));
			break;
		case T_ScalarArrayOpExpr:
			*functions = append_user_function(*functions,
											  get_opcode(((ScalarArrayOpExpr *) node)->opno));
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
			{
				*functions = append_user_function(*functions,
												  get_opcode(lfirst_oid(lc)));
			}
			break;
		default:
			break;
	}
	return expression_tree_walker(node, find_calls_walker, context);
}

char *
recorded_calls_lack(Node *expression, List *functions)
{
	List	   *called = NIL;
	ObjectAddress function;

	(void) find_calls_walker(expression, &called);
	called = list_difference_oid(called, functions);
	if (called == NIL)
		return NULL;
	ObjectAddressSet(function, ProcedureRelationId, linitial_oid(called));
	return getObjectDescription(&function, false);
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

char *
recorded_calls_text(Node *expression)
{
	List	   *called = NIL;
	List	   *texts = NIL;
	ListCell   *lc;

	(void) find_calls_walker(expression, &called);
	foreach(lc, called)
		texts = lappend(texts, format_procedure_qualified(lfirst_oid(lc)));
	list_sort(texts, compare_texts);
	return text_joined(texts, "", ", ");
}

static const char *
calls_shown(const char *calls)
{
	return calls[0] == '\0' ? "no function of a user" : calls;
}

void
recorded_calls_check(const char *kind, const char *name, const char *recorded,
					 const char *calls)
{
	if (recorded == NULL)
		recorded = "";
	if (strcmp(recorded, calls) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s \"%s\" would call other functions than when it was added",
					kind, name),
			 errdetail("It called %s. It would call %s.",
					   calls_shown(recorded), calls_shown(calls)),
			 errhint("Drop the function or operator that was created since; then call tandem.migrate again.")));
}
