/*
 * expression.c
 *		Parses, checks and plans the expressions up and down.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"

/*-------------------------------------------------------------------------
 * Literals whose input would run user-defined code.
 *
 * The parser converts a literal as soon as it knows its type.  For a domain,
 * or an array or composite type that contains one, this evaluates the domain's
 * CHECK constraints.  A session that only wants to know what another user's
 * rule refers to must not run those: they may fail or never return.
 *-------------------------------------------------------------------------
 */

static bool type_is_read_by_server(Oid type);

static bool
all_columns_are_read_by_server(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	bool		all = true;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && !type_is_read_by_server(att->atttypid))
			all = false;
	}
	ReleaseTupleDesc(desc);
	return all;
}

/*
 * Can a literal of the type be read without running user-defined code?  Only
 * superusers can create base types, so their input functions are trusted.
 */
static bool
type_is_read_by_server(Oid type)
{
	Oid			element = get_element_type(type);

	check_stack_depth();
	if (type < FirstUnpinnedObjectId)
		return true;
	if (OidIsValid(element))
		return type_is_read_by_server(element);
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
		case TYPTYPE_ENUM:
			return true;
		case TYPTYPE_COMPOSITE:
			return all_columns_are_read_by_server(type);
		default:
			return false;
	}
}

/*
 * A type that does not exist is not safe either; parse analysis reports it
 * later.
 */
static bool
type_name_is_read_by_server(TypeName *name)
{
	Type		type = LookupTypeName(NULL, name, NULL, true);
	bool		safe = type && type_is_read_by_server(typeTypeId(type));

	if (type)
		ReleaseSysCache(type);
	return safe;
}

static bool
hide_literals_walker(Node *node, void *context)
{
	if (node == NULL || IsA(node, TypeName))
		return false;
	if (IsA(node, TypeCast) && IsA(((TypeCast *) node)->arg, A_Const) &&
		type_name_is_read_by_server(((TypeCast *) node)->typeName))
		return false;
	if (IsA(node, A_Const))
	{
		A_Const    *constant = (A_Const *) node;

		if (!constant->isnull && IsA(&constant->val, String))
			constant->isnull = true;
		return false;
	}
	return raw_expression_tree_walker(node, hide_literals_walker, context);
}

/*
 * Replaces such literals in a raw expression with NULL, in place.  What is
 * left has the same names and types, but analyzing it runs only the server's
 * own code.  Types are looked up with the current search_path and user.
 */
static void
expression_hide_literals(Node *expression)
{
	(void) hide_literals_walker(expression, NULL);
}

/*-------------------------------------------------------------------------
 * Parsing of up and down.  This is done when a sync is created, and again in
 * each session that uses the rule.
 *-------------------------------------------------------------------------
 */

typedef struct ExpressionSource
{
	const char *text;
	Node	   *raw;			/* the part of text that is meant, parsed;
								 * NULL: all of it */
	const char *label;
	const char *column;			/* NULL: label says it all */
	bool		names_only;		/* hide literals whose input runs user code */
	bool		is_default;
	bool		any_column;		/* also generated and system columns */
	List	   *not_in_star;	/* names of columns that * does not mean */
	const ReleaseNames *names;	/* by which the text knows columns; NULL:
								 * those of the table */
	const ExpressionToCome *to_come;	/* NULL: the table is as it is */
} ExpressionSource;

/* Returns what the expression is, for messages. */
static const char *
described_source(const ExpressionSource *source)
{
	if (source->column == NULL)
		return source->label;
	return psprintf("%s of column \"%s\"", source->label, source->column);
}

/* Error positions refer to the expression, not to the user's statement. */
static void
expression_error_callback(void *arg)
{
	ExpressionSource *source = arg;

	error_position_in(source->text);
	errcontext("%s", described_source(source));
}

/* Is it "*" or "t.*"?  The parser takes these for a list of targets. */
static bool
is_star_target(Node *value)
{
	return IsA(value, ColumnRef) &&
		IsA(llast(((ColumnRef *) value)->fields), A_Star);
}

/*
 * Is it a plain SELECT of one unnamed expression, without FROM, WHERE, ORDER
 * BY etc.?
 */
static bool
is_bare_expression(const SelectStmt *select)
{
	ResTarget  *target;

	if (list_length(select->targetList) != 1 || select->op != SETOP_NONE ||
		select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->valuesLists || select->sortClause ||
		select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	return target->name == NULL && target->indirection == NIL &&
		!is_star_target(target->val);
}

#define DEFAULT_HINT \
	"Write one expression that names no column, as after DEFAULT in CREATE TABLE."

static Node *
parse_raw_expression(const ExpressionSource *source)
{
	List	   *parsed = raw_parser(source->text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;

	if (!IsA(select, SelectStmt) || !is_bare_expression(select))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s is not a single expression",
						described_source(source)),
				 errdetail("Expression: %s", source->text),
				 source->is_default ? errhint(DEFAULT_HINT)
				 : errhint("Write one expression over the columns of the row; put a query inside a function and call that.")));
	return linitial_node(ResTarget, select->targetList)->val;
}

/* Returns a copy, which analysis may change. */
static Node *
raw_expression(const ExpressionSource *source)
{
	if (source->raw)
		return copyObject(source->raw);
	return parse_raw_expression(source);
}

static void
refuse_expression(const ExpressionSource *source, const char *what,
				  const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must not contain %s", described_source(source), what),
			 errdetail("Expression: %s", source->text),
			 errhint("%s", hint)));
}

#define QUERY_HINT \
	"It is computed from one row. Put a query inside a function, with its own SET search_path, and call that function."
#define COLUMN_HINT \
	"It has no value yet when the row is written. Use the columns that it comes from."

/* Generated and system columns have no value yet when the trigger fires. */
static void
check_expression_columns(Node *expression, Relation rel,
						 const ExpressionSource *source)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *columns = NULL;
	int			i = -1;

	pull_varattnos(expression, 1, &columns);
	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum < 0)
			refuse_expression(source, "a system column", COLUMN_HINT);
		if (attnum > 0 && attnum <= desc->natts && TupleDescAttr(desc, attnum - 1)->attgenerated)
			refuse_expression(source, "a generated column", COLUMN_HINT);
		if (attnum == 0 && compat_has_generated(desc))
			refuse_expression(source, "the whole row of a table with generated columns", COLUMN_HINT);
	}
}

static Node *
coerce_to_column(ParseState *pstate, Node *expression,
				 Form_pg_attribute column, const ExpressionSource *source)
{
	Oid			type = exprType(expression);
	Node	   *coerced = coerce_to_target_type(pstate, expression, type,
												column->atttypid,
												column->atttypmod,
												COERCION_ASSIGNMENT,
												COERCE_IMPLICIT_CAST, -1);

	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of column \"%s\" is of type %s but the column is of type %s",
						source->label, source->column, format_type_be(type),
						format_type_be(column->atttypid)),
				 errdetail("Expression: %s", source->text),
				 errhint("Cast the expression to the type of the column.")));
	return coerced;
}

/*
 * A partition's columns are looked up by name, but its whole row has the type
 * of a row of the topmost table: all rows of a tree have one meaning, and
 * functions and operators are chosen for one type.
 */
static void
use_row_of_topmost_table(ParseNamespaceItem *item, Relation rel)
{
	if (rel->rd_rel->relispartition)
		compat_set_row_relation(item, table_root(RelationGetRelid(rel)));
}

static void
leave_out_of_star(ParseNamespaceItem *item, Relation rel, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));

		if (attnum > 0)
			item->p_nscolumns[attnum - 1].p_dontexpand = true;
	}
}

/* Hook of the parser: a column that will be another one is one behind the others. */
static Node *
read_replaced_column(ParseState *pstate, ColumnRef *ref)
{
	const ExpressionToCome *to_come = pstate->p_ref_hook_state;
	Node	   *name = llast(ref->fields);

	if (!IsA(name, String) || strcmp(strVal(name), to_come->replaced) != 0 ||
		list_length(ref->fields) > 2 ||
		(list_length(ref->fields) == 2 &&
		 strcmp(strVal(linitial(ref->fields)), to_come->alias) != 0))
		return NULL;
	return (Node *) makeVar(1, to_come->attnum, to_come->by_type, to_come->by_typmod,
							get_typcollation(to_come->by_type), 0);
}

/* Parse analysis with rel as the only range table entry. */
static Node *
analyze_expression(const ExpressionSource *source, Relation rel,
				   const char *alias, Form_pg_attribute column)
{
	Node	   *expression = raw_expression(source);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;

	if (source->names)
		release_names_apply(source->names, expression);
	if (source->names_only)
		expression_hide_literals(expression);
	pstate->p_sourcetext = source->text;
	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
										 makeAlias(alias, NIL), false, true);
	if (!source->any_column)
		use_row_of_topmost_table(item, rel);
	leave_out_of_star(item, rel, source->not_in_star);
	if (source->to_come && source->to_come->replaced)
	{
		pstate->p_pre_columnref_hook = read_replaced_column;
		pstate->p_ref_hook_state = unconstify(ExpressionToCome *, source->to_come);
	}
	addNSItemToQuery(pstate, item, true, true, true);
	expression = transformExpr(pstate, expression, EXPR_KIND_OTHER);
	if (pstate->p_hasSubLinks)
		refuse_expression(source, "a subquery", QUERY_HINT);
	if (pstate->p_hasAggs)
		refuse_expression(source, "an aggregate function", QUERY_HINT);
	if (pstate->p_hasWindowFuncs)
		refuse_expression(source, "a window function", QUERY_HINT);
	if (pstate->p_hasTargetSRFs || expression_returns_set(expression))
		refuse_expression(source, "a set-returning function", QUERY_HINT);
	if (column)
		expression = coerce_to_column(pstate, expression, column, source);
	assign_expr_collations(pstate, expression);
	if (!source->any_column)
		check_expression_columns(expression, rel, source);
	free_parsestate(pstate);
	return expression;
}

/* Returns the column to be computed, or NULL if there is none. */
static Form_pg_attribute
target_column(Relation rel, AttrNumber target)
{
	if (target == InvalidAttrNumber)
		return NULL;
	return TupleDescAttr(RelationGetDescr(rel), target - 1);
}

/*
 * The stored text of a rule was valid when the sync was created, so an error
 * means that something it uses has changed since.
 */
static const char *
expression_hint(const char *alias)
{
	if (strcmp(alias, EXPRESSION_ALIAS) == 0)
		return "What the expression uses was renamed, moved or changed: undo that, or end the migration; SELECT * FROM tandem.syncs shows it.";
	return "Write one expression over the columns of the row; a query goes inside a function.";
}

static Node *
parse_for_column(ExpressionSource *source, Relation rel, const char *alias,
				 Form_pg_attribute column)
{
	ErrorContextCallback callback = {error_context_stack,
	expression_error_callback, source};
	MemoryContext caller = CurrentMemoryContext;
	Node	   *expression = NULL;

	/* domain input needs a snapshot: it may evaluate a CHECK */
	bool		entered = snapshot_enter();

	PG_TRY();
	{
		error_context_stack = &callback;
		expression = analyze_expression(source, rel, alias, column);
	}
	PG_CATCH();
	{
		rethrow_with_hints(caller, expression_hint(alias),
						   "Grant it to the owner of the table, as whom the expressions of a sync are parsed.");
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	snapshot_leave(entered);
	return expression;
}

static Node *
parse_expression(ExpressionSource *source, Relation rel, const char *alias,
				 AttrNumber target)
{
	return parse_for_column(source, rel, alias, target_column(rel, target));
}

static const char *
target_name(Relation rel, AttrNumber target)
{
	return target == InvalidAttrNumber ? "(not stored)"
		: NameStr(target_column(rel, target)->attname);
}

Node *
expression_parse_part(Node *raw, const char *whole_text, Relation rel,
					  const char *alias, AttrNumber target, const char *label)
{
	ExpressionSource source = {
		.text = whole_text,
		.raw = raw,
		.label = label,
		.column = target_name(rel, target),
	};

	return parse_expression(&source, rel, alias, target);
}

Node *
expression_parse(const char *expression_text, Relation rel, const char *alias,
				 AttrNumber target, const char *label)
{
	return expression_parse_part(NULL, expression_text, rel, alias, target, label);
}

Node *
expression_parse_given(const char *expression_text, Relation rel,
					   AttrNumber target, const char *label,
					   const ReleaseNames *names, List *not_in_star)
{
	ExpressionSource source = {
		.text = expression_text,
		.label = label,
		.column = target_name(rel, target),
		.not_in_star = not_in_star,
		.names = names,
	};

	return parse_expression(&source, rel, RelationGetRelationName(rel), target);
}

Node *
expression_parse_to_come(const char *expression_text, Relation rel, const char *label,
						 const ExpressionToCome *to_come)
{
	FormData_pg_attribute column = {.atttypid = to_come->type,.atttypmod = to_come->typmod};
	ExpressionSource source = {
		.text = expression_text,
		.label = label,
		.column = to_come->column,
		.any_column = to_come->column == NULL,
		.to_come = to_come,
	};

	return parse_for_column(&source, rel, to_come->alias,
							OidIsValid(to_come->type) ? &column : NULL);
}

Node *
expression_parse_definition(const char *expression_text, Relation rel,
							const char *alias, const char *label,
							const ReleaseNames *names)
{
	ExpressionSource source = {
		.text = expression_text,
		.label = label,
		.any_column = true,
		.names = names,
	};

	return parse_expression(&source, rel, alias, InvalidAttrNumber);
}

Node *
expression_resolve(const char *expression_text, Relation rel,
				   AttrNumber target, const char *label)
{
	ExpressionSource source = {
		.text = expression_text,
		.label = label,
		.column = target_name(rel, target),
		.names_only = true,
	};

	return parse_expression(&source, rel, EXPRESSION_ALIAS, target);
}

/* The parser itself refuses columns, subqueries etc. in a default. */
static Node *
analyze_default(const ExpressionSource *source, Form_pg_attribute column)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression = parse_raw_expression(source);

	pstate->p_sourcetext = source->text;
	expression = transformExpr(pstate, expression, EXPR_KIND_COLUMN_DEFAULT);
	expression = coerce_to_column(pstate, expression, column, source);
	assign_expr_collations(pstate, expression);
	free_parsestate(pstate);
	return expression;
}

Node *
expression_parse_default(const char *expression_text, const char *column,
						 Oid type, int32 typmod)
{
	ExpressionSource source = {
		.text = expression_text,
		.label = "default_value",
		.column = column,
		.is_default = true,
	};
	FormData_pg_attribute target = {.atttypid = type,.atttypmod = typmod};
	ErrorContextCallback callback = {error_context_stack,
	expression_error_callback, &source};
	MemoryContext caller = CurrentMemoryContext;
	Node	   *expression = NULL;

	PG_TRY();
	{
		error_context_stack = &callback;
		expression = analyze_default(&source, &target);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, DEFAULT_HINT);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return expression;
}

static bool
function_is_made_by_user(Oid function, void *context)
{
	return function >= FirstUnpinnedObjectId;
}

/*
 * Finds functions and types that are user-defined, or whose row type can
 * change.
 */
static bool
depends_on_user_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_CoerceToDomain:
		case T_ConvertRowtypeExpr:
		case T_FieldSelect:
		case T_FieldStore:
		case T_RowExpr:
			return true;
		case T_Var:
			if (((Var *) node)->varattno == InvalidAttrNumber)
				return true;
			break;
		case T_FuncExpr:
			if (type_is_rowtype(((FuncExpr *) node)->funcresulttype))
				return true;
			break;
		case T_MinMaxExpr:
			if (((MinMaxExpr *) node)->minmaxtype >= FirstUnpinnedObjectId)
				return true;
			break;
		case T_SubscriptingRef:
			if (((SubscriptingRef *) node)->refcontainertype >= FirstUnpinnedObjectId)
				return true;
			break;
		default:
			break;
	}
	return check_functions_in_node(node, function_is_made_by_user, NULL) ||
		expression_tree_walker(node, depends_on_user_walker, context);
}

bool
expression_is_builtin(Node *expression)
{
	return !depends_on_user_walker(expression, NULL);
}

static bool
never_inlined(Oid function)
{
	return true;
}

/*
 * The planner of version 19 looks up in the range table whether a column can
 * be NULL.  An expression has no range table, and the answer would not hold
 * before the row's constraints are checked.  So columns are replaced with
 * parameters for planning.
 */
static Node *
columns_to_parameters(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = var->varattno + 1;
		param->paramtype = var->vartype;
		param->paramtypmod = var->vartypmod;
		param->paramcollid = var->varcollid;
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, columns_to_parameters, context);
}

/*
 * Returns the column for a field of the whole row, which occurs where a
 * function of the row was inlined.  Returns NULL if it is no such field, or if
 * the column's type has changed.
 */
static Node *
column_of_row_field(FieldSelect *field)
{
	Param	   *row = (Param *) field->arg;
	Oid			type;
	int32		typmod;
	Oid			collation;

	if (!IsA(row, Param) || row->paramid != InvalidAttrNumber + 1)
		return NULL;
	get_atttypetypmodcoll(get_typ_typrelid(row->paramtype), field->fieldnum,
						  &type, &typmod, &collation);
	if (type != field->resulttype || typmod != field->resulttypmod ||
		collation != field->resultcollid)
		return NULL;
	return (Node *) makeVar(1, field->fieldnum, type, typmod, collation, 0);
}

static Node *
parameters_to_columns(Node *node, void *context)
{
	Node	   *column;

	if (node == NULL)
		return NULL;
	if (IsA(node, FieldSelect) &&
		(column = column_of_row_field((FieldSelect *) node)) != NULL)
		return column;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;

		return (Node *) makeVar(1, param->paramid - 1, param->paramtype,
								param->paramtypmod, param->paramcollid, 0);
	}
	return expression_tree_mutator(node, parameters_to_columns, context);
}

typedef struct Planning
{
	Node	   *expression;		/* with parameters for columns */
	CachedExpression *plan;
} Planning;

static void
plan_expression_call(void *arg)
{
	Planning   *planning = arg;
	CachedExpression *plan = GetCachedExpression(planning->expression);
	MemoryContext caller = MemoryContextSwitchTo(plan->context);

	plan->expr = parameters_to_columns(plan->expr, NULL);
	MemoryContextSwitchTo(caller);
	planning->plan = plan;
}

/*
 * The planner does not inline a function that needs_fmgr_hook wants to see
 * called.
 */
static void
call_without_inlining(void (*work) (void *), void *arg)
{
	needs_fmgr_hook_type hook = needs_fmgr_hook;

	needs_fmgr_hook = never_inlined;
	PG_TRY();
	{
		work(arg);
	}
	PG_FINALLY();
	{
		needs_fmgr_hook = hook;
	}
	PG_END_TRY();
}

static void
fold_expression_call(void *arg)
{
	Node	  **expression = arg;

	*expression = eval_const_expressions(NULL, *expression);
}

static bool
unify_json_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	compat_unify_json(node);
	return expression_tree_walker(node, unify_json_walker, context);
}

Node *
expression_fold(Node *expression)
{
	bool		entered = snapshot_enter();

	/* a mutator would share parts of it */
	expression = copyObject(expression);
	(void) unify_json_walker(expression, NULL);
	expression = columns_to_parameters(expression, NULL);
	call_without_inlining(fold_expression_call, &expression);
	snapshot_leave(entered);
	return expression;
}

CachedExpression *
expression_plan(Node *expression)
{
	Planning	planning = {columns_to_parameters(expression, NULL), NULL};
	ErrorData  *error;

	if (expression_is_builtin(expression))
	{
		plan_expression_call(&planning);
		return planning.plan;
	}
	error = subtransaction_try(plan_expression_call, &planning);
	if (error == NULL)
		return planning.plan;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION)
		ReThrowError(error);
	call_without_inlining(plan_expression_call, &planning);
	return planning.plan;
}

char *
expression_deparse(Node *expression, Relation rel)
{
	return server_text_expression(expression, RelationGetRelid(rel),
								  EXPRESSION_ALIAS);
}
