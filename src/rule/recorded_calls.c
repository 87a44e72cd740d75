/*
 * recorded_calls.c
 *		Does a stored text still call the functions that it did at first?
 *
 * A function, operator, cast or type that is created later may fit the text of
 * a rule better than the one that it meant.  The text is parsed and run with rights
 * of the table's owner, so a role that may only create functions in a schema
 * must not be able to slip one in.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "core/text.h"
#include "rule/recorded_calls.h"
#include "rule/sync_trigger.h"

/* What the server itself records of a trigger has no columns. */
bool
recorded_calls(Oid trigger, RecordedCalls *calls)
{
	bool		recorded = false;
	ListCell   *lc;

	calls->functions = NIL;
	calls->types = NIL;
	foreach(lc, trigger_dependencies(trigger))
	{
		Form_pg_depend row = lfirst(lc);

		recorded |= row->refobjsubid != 0;
		if (row->refclassid == ProcedureRelationId)
			calls->functions = lappend_oid(calls->functions, row->refobjid);
		else if (row->refclassid == TypeRelationId)
			calls->types = lappend_oid(calls->types, row->refobjid);
	}
	return recorded;
}

static List *
append_if_of_user(List *oids, Oid oid)
{
	return oid < FirstUnpinnedObjectId ? oids
		: list_append_unique_oid(oids, oid);
}

/*
 * Only what is looked up by its name, or a cast by its types: the input
 * function of a type, for one, belongs to the type.  Types are those that
 * something is made into: a function's name is also that of a cast where there
 * is such a type, and the CHECKs of a domain run.
 */
static bool
find_calls_walker(Node *node, void *context)
{
	RecordedCalls *found = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			found->functions = append_if_of_user(found->functions,
												 ((FuncExpr *) node)->funcid);
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			found->functions = append_if_of_user(found->functions,
												 get_opcode(((OpExpr *) node)->opno));
			break;
		case T_ScalarArrayOpExpr:
			found->functions = append_if_of_user(found->functions,
												 get_opcode(((ScalarArrayOpExpr *) node)->opno));
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				found->functions = append_if_of_user(found->functions,
													 get_opcode(lfirst_oid(lc)));
			break;
		case T_MinMaxExpr:
			found->functions = append_if_of_user(found->functions,
												 lookup_type_cache(((MinMaxExpr *) node)->minmaxtype,
																   TYPECACHE_CMP_PROC)->cmp_proc);
			break;
		case T_Const:
		case T_CoerceViaIO:
		case T_CoerceToDomain:
		case T_ArrayCoerceExpr:
			found->types = append_if_of_user(found->types, exprType(node));
			break;
		default:
			break;
	}
	return expression_tree_walker(node, find_calls_walker, context);
}

typedef struct CastCall
{
	Oid			function;		/* that a cast calls */
	Oid			source;			/* result */
	Oid			target;
} CastCall;

static bool
find_cast_walker(Node *node, void *context)
{
	CastCall   *call = context;
	FuncExpr   *function = (FuncExpr *) node;
	HeapTuple	tuple;

	if (node == NULL)
		return false;
	if (!IsA(node, FuncExpr) || function->funcid != call->function ||
		function->args == NIL)
		return expression_tree_walker(node, find_cast_walker, context);
	call->source = getBaseType(exprType(linitial(function->args)));
	call->target = getBaseType(function->funcresulttype);
	tuple = SearchSysCache2(CASTSOURCETARGET, ObjectIdGetDatum(call->source),
							ObjectIdGetDatum(call->target));
	if (HeapTupleIsValid(tuple))
	{
		bool		calls = ((Form_pg_cast) GETSTRUCT(tuple))->castfunc == call->function;

		ReleaseSysCache(tuple);
		if (calls)
			return true;
	}
	return expression_tree_walker(node, find_cast_walker, context);
}

#define END_HINT \
	"or end the migration; SELECT * FROM tandem.syncs shows it."

/* A cast goes by the function's OID, so it does not help to rename that. */
static char *
remedy_for_function(Node *expression, Oid function)
{
	CastCall	call = {function, InvalidOid, InvalidOid};

	if (find_cast_walker(expression, &call))
		return psprintf("A cast that was created later calls it: DROP CAST (%s AS %s), " END_HINT,
						format_type_be_qualified(call.source),
						format_type_be_qualified(call.target));
	return pstrdup("It was created later, with a name that the expression uses: drop or rename it, " END_HINT);
}

bool
recorded_calls_lack(Node *expression, const RecordedCalls *calls,
					OtherCall *other)
{
	RecordedCalls found = {NIL, NIL};
	ObjectAddress object;

	(void) find_calls_walker(expression, &found);
	found.functions = list_difference_oid(found.functions, calls->functions);
	found.types = list_difference_oid(found.types, calls->types);
	if (found.functions != NIL)
	{
		ObjectAddressSet(object, ProcedureRelationId, linitial_oid(found.functions));
		other->remedy = remedy_for_function(expression, object.objectId);
	}
	else if (found.types != NIL)
	{
		ObjectAddressSet(object, TypeRelationId, linitial_oid(found.types));
		other->remedy = "It was created later, with the name of a function that the expression calls, or a cast to it was: drop or rename the type, or drop the cast, " END_HINT;
	}
	else
		return false;
	other->what = getObjectDescription(&object, false);
	return true;
}

static int
compare_texts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

char *
recorded_calls_text(Node *expression)
{
	RecordedCalls found = {NIL, NIL};
	List	   *texts = NIL;
	ListCell   *lc;

	(void) find_calls_walker(expression, &found);
	foreach(lc, found.functions)
		texts = lappend(texts, format_procedure_qualified(lfirst_oid(lc)));
	foreach(lc, found.types)
		texts = lappend(texts, psprintf("type %s",
										format_type_be_qualified(lfirst_oid(lc))));
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
			 errhint("Drop the function, operator, cast or type that was created since; then call tandem.migrate again.")));
}
