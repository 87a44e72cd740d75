/*
 * change_trial.c
 *		The expressions of a change of a column that is not made yet, tried on a row.
 *
 * What the caller says runs as the caller, restricted.  A CHECK of the table is text of
 * its owner, and runs as he; so only for who has his rights.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/text.h"
#include "core/transaction.h"
#include "review/change_trial.h"
#include "rule/expression.h"

/*-------------------------------------------------------------------------
 * Which column the call is about.
 *-------------------------------------------------------------------------
 */

#define COLUMN_HINT "Name it: column_name => '...'; or leave down out."

static bool
names_of_references_walker(Node *node, List **names)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *name = llast(((ColumnRef *) node)->fields);

		if (IsA(name, String) && !text_is_among(strVal(name), *names))
			*names = lappend(*names, strVal(name));
		return false;
	}
	return raw_expression_tree_walker(node, names_of_references_walker, names);
}

/* Returns the names of columns in a text that is one expression. */
static List *
names_in_text(const char *text)
{
	List	   *parsed = sql_parse(RAW_PARSE_PLPGSQL_EXPR, text,
								   "Write one expression over the columns of the row; a query goes inside a function.");
	List	   *names = NIL;

	(void) names_of_references_walker(linitial_node(RawStmt, parsed)->stmt, &names);
	return names;
}

static List *
columns_among(Relation rel, List *names)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, names)
	{
		if (get_attnum(RelationGetRelid(rel), lfirst(lc)) > 0)
			columns = lappend(columns, lfirst(lc));
	}
	return columns;
}

static void
check_name(Relation rel, const char *name)
{
	if (get_attnum(RelationGetRelid(rel), name) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errhint("Name a column of the table as it is now.")));
}

/* Of an expression; one may be the table's, for the whole row. */
static void
check_names(Relation rel, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), RelationGetRelationName(rel)) != 0)
			check_name(rel, lfirst(lc));
	}
}

/*
 * The one that up reads; of several the one that down names, which in a change of a
 * column has the same name.
 */
static char *
column_meant(const ChangeCall *call, Relation rel)
{
	List	   *names = names_in_text(call->up);
	List	   *read = columns_among(rel, names);
	List	   *both = NIL;
	ListCell   *lc;

	if (read == NIL)
		check_names(rel, names);
	if (list_length(read) == 1)
		return linitial(read);
	if (call->down == NULL)
		return NULL;
	foreach(lc, names_in_text(call->down))
	{
		if (text_is_among(lfirst(lc), read))
			both = lappend(both, lfirst(lc));
	}
	if (list_length(both) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("it cannot be told which column of table \"%s\" down gives back",
						RelationGetRelationName(rel)),
				 errdetail("Up reads %d of its columns.", list_length(read)),
				 errhint(COLUMN_HINT)));
	return linitial(both);
}

static void
read_type(ChangeCall *call)
{
	compat_parse_type(call->type_text, &call->type, &call->typmod);
	if (get_typtype(call->type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("a column cannot have pseudo-type %s", call->type_text),
				 errhint("Give the type that the new column is to have.")));
}

void
change_call_read(ChangeCall *call, Relation rel)
{
	read_type(call);
	if (call->column)
		check_name(rel, call->column);
	if (call->up == NULL && call->column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("neither up nor column_name is given"),
				 errhint("Give up, the expression of the new column; or column_name, of a column that is cast to the type.")));
	if (call->up == NULL)
	{
		/* the assignment casts, there and back, as in change_column */
		call->up = pstrdup(quote_identifier(call->column));
		call->down = call->down ? call->down : call->up;
	}
	else if (call->column == NULL)
		call->column = column_meant(call, rel);
}

/*-------------------------------------------------------------------------
 * The constraints.
 *-------------------------------------------------------------------------
 */

static ChangeConstraint *
read_constraint(uint64 row)
{
	ChangeConstraint *constraint = palloc0(sizeof(ChangeConstraint));

	constraint->name = query_get_text(row, 1);
	constraint->check = query_get_text(row, 2);
	constraint->columns = query_get_strings(row, 3);
	constraint->nulls_equal = query_get_bool(row, 4);
	constraint->not_tried = query_get_text(row, 5);
	return constraint;
}

List *
change_constraints(const ChangeCall *call)
{
	TandemQuery query;
	List	   *constraints = NIL;
	uint64		rows;

	if (call->column == NULL)
		return NIL;
	query_begin(&query);
	query_oid(&query, call->relation);
	query_text(&query, call->column);
	query_bool(&query, has_privs_of_role(query.scope.userid, authority_table_owner(call->relation)));
	rows = query_run_latest(&query,
							"SELECT name, definition, columns, nulls_equal, CASE WHEN definition IS NOT NULL AND NOT $3 "
							"THEN 'its text is that of the owner of the table, and run for who has the owner''s rights' ELSE not_tried END "
							"FROM tandem._constraints_of_column($1, $2::name) ORDER BY kind, name COLLATE \"C\"");
	for (uint64 i = 0; i < rows; i++)
		constraints = lappend(constraints, read_constraint(i));
	query_end(&query);
	return constraints;
}

/*-------------------------------------------------------------------------
 * The trial.
 *-------------------------------------------------------------------------
 */

static TupleDesc
desc_with_new_column(TupleDesc desc, const ChangeCall *call)
{
	TupleDesc	wider = CreateTemplateTupleDesc(desc->natts + 1);

	for (int i = 1; i <= desc->natts; i++)
		TupleDescCopyEntry(wider, i, desc, i);
	TupleDescInitEntry(wider, desc->natts + 1, "?new?", call->type, call->typmod, 0);
	compat_finish_desc(wider);
	return wider;
}

/* The plan lives as long as the process may need it: the context of the caller. */
static ExprState *
prepared(Node *expression)
{
	CachedExpression *plan = expression_plan(expression);
	Node	   *copy = copyObject(plan->expr);

	FreeCachedExpression(plan);
	return ExecInitExpr((Expr *) copy, NULL);
}

static ExpressionToCome
with_new_column(const ChangeTrial *trial, const char *replaced)
{
	ExpressionToCome to_come = {
		.alias = RelationGetRelationName(trial->rel),
		.replaced = replaced,
		.attnum = RelationGetDescr(trial->rel)->natts + 1,
		.by_type = trial->call->type,
		.by_typmod = trial->call->typmod
	};

	return to_come;
}

static void
prepare_up(ChangeTrial *trial)
{
	const ChangeCall *call = trial->call;
	ExpressionToCome to_come = with_new_column(trial, NULL);
	Node	   *up;

	to_come.column = call->column ? call->column : "(new)";
	to_come.type = call->type;
	to_come.typmod = call->typmod;
	up = expression_parse_to_come(call->up, trial->rel, "up", &to_come);
	trial->is_volatile = contain_volatile_functions(up);
	trial->up = prepared(up);
}

/* The row of the trial is none of the table's: it has a column more. */
static void
refuse_whole_row(Node *expression, const char *label)
{
	Bitmapset  *columns = NULL;

	pull_varattnos(expression, 1, &columns);
	if (bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, columns))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s reads the whole row, which is another one after the change", label),
				 errhint("Name the columns.")));
}

/*
 * A name that the table does not have is that of the new column, as the script of
 * sync_column says it.
 */
static char *
name_of_new_column(const ChangeTrial *trial)
{
	List	   *unknown = NIL;
	ListCell   *lc;

	foreach(lc, names_in_text(trial->call->down))
	{
		if (strcmp(lfirst(lc), trial->call->column) == 0)
			return trial->call->column;
		if (get_attnum(RelationGetRelid(trial->rel), lfirst(lc)) == InvalidAttrNumber &&
			strcmp(lfirst(lc), RelationGetRelationName(trial->rel)) != 0)
			unknown = lappend(unknown, lfirst(lc));
	}
	return list_length(unknown) == 1 ? linitial(unknown) : trial->call->column;
}

static void
prepare_down(ChangeTrial *trial)
{
	const ChangeCall *call = trial->call;
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(trial->rel), trial->column - 1);
	ExpressionToCome to_come = with_new_column(trial, name_of_new_column(trial));
	TypeCacheEntry *type = lookup_type_cache(column->atttypid, TYPECACHE_EQ_OPR_FINFO);
	Node	   *down;

	to_come.column = call->column;
	to_come.type = column->atttypid;
	to_come.typmod = column->atttypmod;
	down = expression_parse_to_come(call->down, trial->rel, "down", &to_come);
	refuse_whole_row(down, "down");
	trial->is_volatile |= contain_volatile_functions(down);
	trial->down = prepared(down);
	trial->equal = OidIsValid(type->eq_opr_finfo.fn_oid) ? &type->eq_opr_finfo : NULL;
}

typedef struct CheckTrial
{
	ChangeTrial *trial;
	const char *text;
	ExprState  *state;
} CheckTrial;

static void
prepare_check(void *arg)
{
	CheckTrial *check = arg;
	ChangeTrial *trial = check->trial;
	ExpressionToCome to_come = with_new_column(trial, trial->call->column);
	AuthorityScope scope;
	Node	   *expression;

	authority_enter_role(&scope, trial->owner, AUTHORITY_PINNED_PATH);
	expression = expression_parse_to_come(check->text, trial->rel, "the constraint", &to_come);
	refuse_whole_row(expression, "it");
	check->state = prepared(expression);
	authority_leave(&scope);
}

static void
prepare_checks(ChangeTrial *trial, List *constraints)
{
	ListCell   *lc;

	trial->checks = palloc0(sizeof(ExprState *) * (list_length(constraints) + 1));
	foreach(lc, constraints)
	{
		ChangeConstraint *constraint = lfirst(lc);
		CheckTrial	check = {trial, constraint->check, NULL};
		ErrorData  *error;

		if (constraint->check == NULL || constraint->not_tried)
			continue;
		error = subtransaction_try(prepare_check, &check);
		if (error)
			constraint->not_tried = error->message;
		else
			trial->checks[foreach_current_index(lc)] = check.state;
	}
}

ChangeTrial *
change_trial_begin(const ChangeCall *call, Relation rel, List *constraints)
{
	ChangeTrial *trial = palloc0(sizeof(ChangeTrial));

	trial->call = call;
	trial->rel = rel;
	trial->owner = authority_table_owner(RelationGetRelid(rel));
	trial->column = call->column ? get_attnum(RelationGetRelid(rel), call->column) : InvalidAttrNumber;
	trial->desc = desc_with_new_column(RelationGetDescr(rel), call);
	trial->row = compat_make_slot(trial->desc, &TTSOpsVirtual);
	trial->estate = CreateExecutorState();
	trial->context = CreateExprContext(trial->estate);
	prepare_up(trial);
	if (trial->column != InvalidAttrNumber)
		trial->not_null = TupleDescAttr(RelationGetDescr(rel), trial->column - 1)->attnotnull;
	if (call->down && trial->column != InvalidAttrNumber)
		prepare_down(trial);
	prepare_checks(trial, constraints);
	return trial;
}

void
change_trial_end(ChangeTrial *trial)
{
	ExecDropSingleTupleTableSlot(trial->row);
	FreeExecutorState(trial->estate);
}

void
change_trial_up(ChangeTrial *trial, TupleTableSlot *slot)
{
	int			natts = RelationGetDescr(trial->rel)->natts;
	TupleTableSlot *row = trial->row;

	ExecClearTuple(row);
	ResetExprContext(trial->context);
	slot_getallattrs(slot);
	trial->context->ecxt_scantuple = slot;
	row->tts_values[natts] = ExecEvalExprSwitchContext(trial->up, trial->context, &row->tts_isnull[natts]);
	memcpy(row->tts_values, slot->tts_values, sizeof(Datum) * natts);
	memcpy(row->tts_isnull, slot->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(row);
	trial->context->ecxt_scantuple = row;
}

bool
change_trial_loses(ChangeTrial *trial)
{
	Form_pg_attribute column = TupleDescAttr(trial->desc, trial->column - 1);
	Datum		old = trial->row->tts_values[trial->column - 1];
	bool		old_null = trial->row->tts_isnull[trial->column - 1];
	bool		isnull;
	Datum		value = ExecEvalExprSwitchContext(trial->down, trial->context, &isnull);

	if (isnull || old_null)
		return isnull != old_null;

	/*
	 * as verify compares: of a type without equality all is lost that is not
	 * the same to the bit
	 */
	if (datum_image_eq(old, value, column->attbyval, column->attlen))
		return false;
	return trial->equal == NULL ||
		!DatumGetBool(FunctionCall2Coll(trial->equal, column->attcollation, old, value));
}

bool
change_trial_breaks(ChangeTrial *trial, int constraint)
{
	AuthorityScope scope;
	Datum		value;
	bool		isnull;

	authority_enter_evaluation(&scope, trial->owner, AUTHORITY_PINNED_PATH);
	value = ExecEvalExprSwitchContext(trial->checks[constraint], trial->context, &isnull);
	authority_leave_evaluation(&scope);
	return !isnull && !DatumGetBool(value);
}

char *
change_trial_value(const ChangeTrial *trial, AttrNumber attnum)
{
	Oid			output;
	bool		is_varlena;

	if (trial->row->tts_isnull[attnum - 1])
		return pstrdup("NULL");
	getTypeOutputInfo(TupleDescAttr(trial->desc, attnum - 1)->atttypid, &output, &is_varlena);
	return OidOutputFunctionCall(output, trial->row->tts_values[attnum - 1]);
}
