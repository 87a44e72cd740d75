/*
 * overload.c
 *		Functions and operators that take the place of those that rules use.
 *
 * The text of a rule names a function by schema and name, with arguments of
 * certain types.  Where the one that it means takes them as anyelement, as
 * VARIADIC or with a default, another one that takes just these types would be
 * called as soon as it exists.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "core/query.h"
#include "trigger/overload.h"
#include "trigger/rule_objects.h"

static List *
namesakes_of(Oid object, const char *sql)
{
	TandemQuery query;
	List	   *namesakes;

	query_begin(&query);
	query_oid(&query, object);
	namesakes = query_oids(&query, sql);
	query_end(&query);
	return namesakes;
}

static List *
namesakes_of_object(const ObjectAddress *object)
{
	switch (object->classId)
	{
		case ProcedureRelationId:
			return namesakes_of(object->objectId,
								"SELECT o.oid FROM pg_proc p JOIN pg_proc o USING (proname, pronamespace) WHERE p.oid = $1 AND o.oid <> $1");
		case OperatorRelationId:
			return namesakes_of(object->objectId,
								"SELECT o.oid FROM pg_operator p JOIN pg_operator o USING (oprname, oprnamespace) WHERE p.oid = $1 AND o.oid <> $1");
		default:
			return NIL;
	}
}

List *
overload_tables(const DdlEvent *event)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, event->objects)
	{
		ObjectAddress *object = lfirst(lc);
		ListCell   *namesake;

		foreach(namesake, namesakes_of_object(object))
		{
			ObjectAddress used;

			ObjectAddressSet(used, object->classId, lfirst_oid(namesake));
			tables = list_concat_unique_oid(tables, rule_objects_users(&used));
		}
	}
	return tables;
}

typedef struct CallSearch
{
	List	   *objects;
	Oid			unknown;		/* function that is not among them */
} CallSearch;

static bool
function_is_unknown(Oid function, CallSearch *search)
{
	ListCell   *lc;

	if (function < FirstUnpinnedObjectId)
		return false;
	foreach(lc, search->objects)
	{
		ObjectAddress *object = lfirst(lc);

		if (object->classId == ProcedureRelationId &&
			object->objectId == function)
			return false;
	}
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
overload_in_expression(Node *expression, List *objects)
{
	CallSearch	search = {objects, InvalidOid};
	ObjectAddress function;

	if (!find_unknown_walker(expression, &search))
		return NULL;
	ObjectAddressSet(function, ProcedureRelationId, search.unknown);
	return getObjectDescription(&function, false);
}
