/*
 * expression_literals.c
 *		Literals of an expression whose reading would run code of a user.
 *
 * The parser reads a literal as soon as it knows its type, and to read one of
 * an array or a composite type that holds a domain runs the CHECKs of the
 * domain.  Whoever only wants to know what an expression names, of a rule that
 * somebody else wrote, must not run those: they may raise, or never return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "sync/expression_literals.h"

static bool is_read_by_server(Oid type);

static bool
all_columns_are(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	bool		all = true;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !is_read_by_server(att->atttypid))
			all = false;
	}
	ReleaseTupleDesc(desc);
	return all;
}

/*
 * Whether a literal of the type is read without running code of a user.  A base
 * type is made by superusers alone, its input function with it.
 */
static bool
is_read_by_server(Oid type)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (type < FirstUnpinnedObjectId)
		return true;
	if (OidIsValid(element))
		return is_read_by_server(element);
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
		case TYPTYPE_ENUM:
			return true;
		case TYPTYPE_COMPOSITE:
			return all_columns_are(type);
		default:
			return false;
	}
}

/* Of a type that is not there the analysis will tell. */
static bool
is_read_as(TypeName *name)
{
	Type		type = LookupTypeName(NULL, name, NULL, true);
	bool		safe = type && is_read_by_server(typeTypeId(type));

	if (type)
		ReleaseSysCache(type);
	return safe;
}

static bool
hide_literals(Node *node, void *context)
{
	if (node == NULL || IsA(node, TypeName))
		return false;
	if (IsA(node, TypeCast) && IsA(((TypeCast *) node)->arg, A_Const) &&
		is_read_as(((TypeCast *) node)->typeName))
		return false;
	if (IsA(node, A_Const))
	{
		A_Const    *constant = (A_Const *) node;

		if (!constant->isnull && IsA(&constant->val, String))
			constant->isnull = true;
		return false;
	}
	return raw_expression_tree_walker(node, hide_literals, context);
}

void
expression_hide_literals(Node *expression)
{
	(void) hide_literals(expression, NULL);
}
