/*
 * meaning.c
 *		Does an expression mean the same when its stored text is read again?
 *
 * up, down, CHECKs and the expressions of indexes are stored as text, deparsed
 * from what the caller wrote, and parsed again by other sessions under a
 * pinned search_path.  The text names everything outside pg_catalog with its
 * schema, except the operators that the grammar looks up by itself.  So text
 * and tree are compared when the text is stored: what is not equal is refused.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "rule/meaning.h"
#include "rule/spelled_out.h"

#define FUNCTION_HINT \
	"Put it into a function that has its own SET search_path, and call that function."

/*-------------------------------------------------------------------------
 * Reading a text again, and comparing what it means.
 *-------------------------------------------------------------------------
 */

typedef struct Reading
{
	const StoredExpression *stored;
	const char *text;
	const char *alias;			/* of the table, in the text */
	bool		as_caller;		/* else as the owner, path pinned */
	Node	   *expression;		/* result */
} Reading;

static Node *
parse_reading(const Reading *reading)
{
	const StoredExpression *stored = reading->stored;

	if (stored->label == NULL)
		return expression_parse_definition(reading->text, stored->rel,
										   reading->alias, stored->what, NULL);
	return expression_parse(reading->text, stored->rel, reading->alias,
							stored->target, stored->label);
}

static void
read_text(void *arg)
{
	Reading    *reading = arg;
	AuthorityScope scope;

	if (reading->as_caller)
	{
		reading->expression = parse_reading(reading);
		return;
	}
	authority_enter_owner(&scope, reading->stored->rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	reading->expression = parse_reading(reading);
	authority_leave(&scope);
}

/*
 * Returns why the text cannot be parsed, or NULL.  Other errors are thrown: a
 * right that is missing, and those of code that a literal runs.
 */
static ErrorData *
try_reading(Reading *reading)
{
	ErrorData  *error = subtransaction_try(read_text, reading);

	if (error &&
		(error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
		 ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION))
		ReThrowError(error);
	return error;
}

/*
 * A list of values over varchar, for one, is deparsed as an array that is cast
 * as a whole, so constants are folded before the trees are compared.  That
 * runs immutable functions, with the rights with which the text will be used.
 * Locations do not count.
 */
static bool
same_meaning(const StoredExpression *stored, Node *one, Node *other)
{
	AuthorityScope scope;
	bool		same;

	if (equal(one, other))
		return true;
	authority_enter_owner(&scope, stored->rel, namespace_search_path);
	same = equal(expression_fold(one), expression_fold(other));
	authority_leave(&scope);
	return same;
}

static bool
is_read_as(const StoredExpression *stored, const char *written, const char *alias,
		   bool as_caller, Node *expression)
{
	Reading		reading = {
		.stored = stored,
		.text = written,
		.alias = alias,
		.as_caller = as_caller,
	};

	return try_reading(&reading) == NULL &&
		same_meaning(stored, reading.expression, expression);
}

/*-------------------------------------------------------------------------
 * Refusing an expression, with the form that works.
 *-------------------------------------------------------------------------
 */

static char *
text_for_caller(const StoredExpression *stored, Node *expression)
{
	return server_text_expression(expression, RelationGetRelid(stored->rel),
								  RelationGetRelationName(stored->rel));
}

/*
 * Returns the expression as the caller may write it so that it keeps its
 * meaning, or NULL.  It has been tried: the text by the caller, and what is
 * stored then as it will be read.  If the caller's search_path hides something
 * of pg_catalog, that is qualified as well.
 */
static char *
form_that_works(const StoredExpression *stored, Node *expression)
{
	const char *alias = RelationGetRelationName(stored->rel);
	Node	   *spelled = spelled_out(expression);
	char	   *text;

	if (spelled == NULL ||
		!is_read_as(stored, expression_deparse(spelled, stored->rel),
					EXPRESSION_ALIAS, false, spelled))
		return NULL;
	text = text_for_caller(stored, spelled);

	if (is_read_as(stored, text, alias, true, spelled))
		return text;
	text = server_text_expression_here(spelled, RelationGetRelid(stored->rel),
									   alias);
	return is_read_as(stored, text, alias, true, spelled) ? text : NULL;
}

/* Says with which operators it compares, if that can be said. */
static char *
meaning_as_text(const StoredExpression *stored, Node *expression)
{
	Node	   *spelled = spelled_out(expression);

	return text_for_caller(stored, spelled ? spelled : expression);
}

static void
refuse_lost_meaning(const StoredExpression *stored, Node *expression,
					Node *read_again, const ErrorData *error)
{
	char	   *form = form_that_works(stored, expression);
	char	   *then;

	if (error)
		then = psprintf("it fails: %s", error->message);
	else
		then = psprintf("it would mean: %s", meaning_as_text(stored, read_again));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s would not keep its meaning when its text is stored",
					stored->what),
			 errdetail("Given: %s. Read again without the search_path of this session %s.",
					   stored->given, then),
			 form ? errhint("Write it with its operators named: %s", form)
			 : errhint(FUNCTION_HINT)));
}

/*-------------------------------------------------------------------------
 * Objects that end with this session.
 *-------------------------------------------------------------------------
 */

static bool
function_is_temporary(Oid function, void *context)
{
	return isAnyTempNamespace(get_func_namespace(function));
}

static bool
type_is_temporary(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		temporary = false;

	if (HeapTupleIsValid(tuple))
	{
		temporary = isAnyTempNamespace(((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
		ReleaseSysCache(tuple);
	}
	return temporary;
}

/* Where the expression names a type: a literal, a cast, a row. */
static bool
uses_temporary_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_FuncExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CoerceToDomain:
		case T_RowExpr:
			if (type_is_temporary(exprType(node)))
				return true;
			break;
		default:
			break;
	}
	return check_functions_in_node(node, function_is_temporary, NULL) ||
		expression_tree_walker(node, uses_temporary_walker, context);
}

static void
check_nothing_temporary(const StoredExpression *stored, Node *expression)
{
	if (uses_temporary_walker(expression, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("%s must not use temporary functions or types",
						stored->what),
				 errdetail("Given: %s. They end with this session.", stored->given),
				 errhint("Create them in a schema of their own.")));
}

static Reading
read_as_stored(const StoredExpression *stored, Node *expression)
{
	Reading		reading = {
		.stored = stored,
		.text = expression_deparse(expression, stored->rel),
		.alias = EXPRESSION_ALIAS,
	};
	ErrorData  *error;

	check_nothing_temporary(stored, expression);
	error = try_reading(&reading);
	if (error || !same_meaning(stored, expression, reading.expression))
		refuse_lost_meaning(stored, expression, reading.expression, error);
	return reading;
}

char *
meaning_stored_text(const StoredExpression *stored, Node *expression)
{
	return unconstify(char *, read_as_stored(stored, expression).text);
}

Node *
meaning_read_again(const StoredExpression *stored, Node *expression)
{
	return read_as_stored(stored, expression).expression;
}
