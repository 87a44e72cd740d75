/*
 * expression_uses.c
 *		The objects that the value of an expression depends on.
 *
 * The server records in pg_depend what an expression names, so that it can be
 * parsed again, and leaves out what hangs on something named: the type of a
 * column, what casts by type alone, the columns of a row that is read whole.
 * All of these may change its value, so they are found here, in one place, for
 * the proof of verify (rule_uses) and for the guard (rule_objects_record).
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "rule/expression_uses.h"

static List *
add_use(List *uses, Oid class_oid, Oid object_oid)
{
	ObjectAddress *use;
	ListCell   *lc;

	if (!OidIsValid(object_oid))
		return uses;
	foreach(lc, uses)
	{
		ObjectAddress *other = lfirst(lc);

		if (other->objectId == object_oid && other->classId == class_oid)
			return uses;
	}
	use = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*use, class_oid, object_oid);
	return lappend(uses, use);
}

/* Casts are those of the type below a domain. */
static List *
add_type_and_base(List *uses, Oid type)
{
	if (!OidIsValid(type))
		return uses;
	uses = add_use(uses, TypeRelationId, type);
	return add_use(uses, TypeRelationId, getBaseType(type));
}

static List *
add_type_use(List *uses, Oid type)
{
	uses = add_type_and_base(uses, type);
	return add_type_and_base(uses, get_base_element_type(type));
}

/* The cast behind :: is looked up by the two types. */
static List *
add_cast_use(List *uses, Oid source, Oid target)
{
	return add_use(uses, CastRelationId,
				   GetSysCacheOid2(CASTSOURCETARGET, Anum_pg_cast_oid,
								   ObjectIdGetDatum(getBaseType(source)),
								   ObjectIdGetDatum(getBaseType(target))));
}

static List *
add_operator_use(List *uses, Oid operator)
{
	uses = add_use(uses, OperatorRelationId, operator);
	return add_use(uses, ProcedureRelationId, get_opcode(operator));
}

/*
 * GREATEST and LEAST go by the default ordering of the type.  What a type is
 * compared by is remembered by the session until an operator class changes.
 */
static List *
add_ordering_use(List *uses, Oid type)
{
	uses = add_use(uses, OperatorClassRelationId,
				   GetDefaultOpClass(type, BTREE_AM_OID));
	return add_use(uses, ProcedureRelationId,
				   lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc);
}

/* The catalog of what a constant of this type names, or InvalidOid. */
static Oid
class_of_reg_type(Oid type)
{
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
			return ProcedureRelationId;
		case REGOPEROID:
		case REGOPERATOROID:
			return OperatorRelationId;
		case REGCLASSOID:
			return RelationRelationId;
		case REGTYPEOID:
			return TypeRelationId;
		case REGCOLLATIONOID:
			return CollationRelationId;
		case REGCONFIGOID:
			return TSConfigRelationId;
		case REGDICTIONARYOID:
			return TSDictionaryRelationId;
		case REGNAMESPACEOID:
			return NamespaceRelationId;
		default:
			return InvalidOid;
	}
}

static List *
add_constant_use(List *uses, const Const *constant)
{
	Oid			class_oid = class_of_reg_type(constant->consttype);

	if (!OidIsValid(class_oid) || constant->constisnull)
		return uses;
	return add_use(uses, class_oid, DatumGetObjectId(constant->constvalue));
}

/* Parts that are no values, such as lists, have no type to ask for. */
static const NodeTag with_type[] = {
	T_Var, T_Const, T_Param, T_FuncExpr, T_NamedArgExpr, T_OpExpr,
	T_DistinctExpr, T_NullIfExpr, T_ScalarArrayOpExpr, T_SubscriptingRef,
	T_FieldSelect, T_FieldStore, T_RelabelType, T_CoerceViaIO,
	T_ArrayCoerceExpr, T_ConvertRowtypeExpr, T_CollateExpr, T_CaseExpr,
	T_CaseTestExpr, T_ArrayExpr, T_RowExpr, T_RowCompareExpr, T_CoalesceExpr,
	T_MinMaxExpr, T_SQLValueFunction, T_XmlExpr, T_CoerceToDomain,
	T_CoerceToDomainValue, T_NextValueExpr
};

static bool
node_has_type(Node *node)
{
	for (int i = 0; i < (int) lengthof(with_type); i++)
	{
		if (nodeTag(node) == with_type[i])
			return true;
	}
	return compat_is_json_value(node);
}

/* A callback for check_functions_in_node, which stops at true. */
static bool
add_function(Oid function, void *context)
{
	List	  **uses = context;

	*uses = add_use(*uses, ProcedureRelationId, function);
	return false;
}

static List *
add_uses_of_kind(List *uses, Node *node)
{
	ListCell   *lc;

	switch (nodeTag(node))
	{
		case T_Const:
			return add_constant_use(uses, (Const *) node);
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return add_operator_use(uses, ((OpExpr *) node)->opno);
		case T_ScalarArrayOpExpr:
			return add_operator_use(uses, ((ScalarArrayOpExpr *) node)->opno);
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				uses = add_operator_use(uses, lfirst_oid(lc));
			foreach(lc, ((RowCompareExpr *) node)->opfamilies)
				uses = add_use(uses, OperatorFamilyRelationId, lfirst_oid(lc));
			return uses;
		case T_FuncExpr:
			if (((FuncExpr *) node)->args == NIL)
				return uses;
			return add_cast_use(uses,
								exprType(linitial(((FuncExpr *) node)->args)),
								((FuncExpr *) node)->funcresulttype);
		case T_RelabelType:
			return add_cast_use(uses,
								exprType((Node *) ((RelabelType *) node)->arg),
								((RelabelType *) node)->resulttype);
		case T_CoerceViaIO:
			return add_cast_use(uses,
								exprType((Node *) ((CoerceViaIO *) node)->arg),
								((CoerceViaIO *) node)->resulttype);
		case T_MinMaxExpr:
			return add_ordering_use(uses, ((MinMaxExpr *) node)->minmaxtype);
		case T_NextValueExpr:
			return add_use(uses, RelationRelationId,
						   ((NextValueExpr *) node)->seqid);
		default:
			return uses;
	}
}

static bool
add_uses_walker(Node *node, void *context)
{
	List	  **uses = context;

	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, add_function, uses);
	if (node_has_type(node))
	{
		*uses = add_type_use(*uses, exprType(node));
		*uses = add_use(*uses, CollationRelationId, exprCollation(node));
		*uses = add_use(*uses, CollationRelationId, exprInputCollation(node));
	}
	*uses = add_uses_of_kind(*uses, node);
	return expression_tree_walker(node, add_uses_walker, context);
}

List *
expression_uses(List *uses, Node *expression)
{
	(void) add_uses_walker(expression, &uses);
	return uses;
}

List *
expression_uses_of_column(List *uses, Oid type, Oid collation)
{
	uses = add_type_use(uses, type);
	uses = add_use(uses, CollationRelationId, collation);
	return add_operator_use(uses,
							lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr);
}

static bool
append_call(Oid function, void *context)
{
	appendStringInfo(context, " %s", format_procedure_qualified(function));
	return false;
}

static bool
append_calls_walker(Node *node, void *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, append_call, context);
	if (IsA(node, RowCompareExpr))
	{
		foreach(lc, ((RowCompareExpr *) node)->opnos)
			(void) append_call(get_opcode(lfirst_oid(lc)), context);
	}
	return expression_tree_walker(node, append_calls_walker, context);
}

char *
expression_calls(Node *expression)
{
	StringInfoData calls;

	initStringInfo(&calls);
	(void) append_calls_walker(expression, &calls);
	return calls.data;
}

static bool
asks_for_user_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
	{
		switch (((SQLValueFunction *) node)->op)
		{
			case SVFOP_CURRENT_ROLE:
			case SVFOP_CURRENT_USER:
			case SVFOP_USER:
				return true;
			default:
				return false;
		}
	}
	return expression_tree_walker(node, asks_for_user_walker, context);
}

bool
expression_asks_for_user(Node *expression)
{
	return asks_for_user_walker(expression, NULL);
}

static bool
type_is_date_or_time(Oid type)
{
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_DATETIME || category == TYPCATEGORY_TIMESPAN;
}

/*
 * A function of the server that looks names up is not immutable.  Most others
 * that are not depend on the time, or on how dates are written.
 */
static bool
function_may_look_names_up(Oid function, void *context)
{
	Oid		   *arguments;
	int			count;

	if (func_volatile(function) == PROVOLATILE_IMMUTABLE ||
		type_is_date_or_time(get_func_signature(function, &arguments, &count)))
		return false;
	for (int i = 0; i < count; i++)
	{
		if (type_is_date_or_time(arguments[i]))
			return false;
	}
	return true;
}

static bool
looks_names_up_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
		return ((SQLValueFunction *) node)->op == SVFOP_CURRENT_SCHEMA;
	return check_functions_in_node(node, function_may_look_names_up, context) ||
		expression_tree_walker(node, looks_names_up_walker, context);
}

bool
expression_looks_names_up(Node *expression)
{
	return looks_names_up_walker(expression, NULL);
}
