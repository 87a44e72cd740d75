/*
 * row_state.c
 *		One row on its way through the rules of its relation.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "sync/given_columns.h"
#include "sync/row_state.h"

/* longest value shown in a message, in bytes */
#define VALUE_SHOWN 60

static void
release_rules(void *arg)
{
	relation_rules_release((RelationRules *) arg);
}

RowState *
row_state_create(Relation rel, const Trigger *trigger)
{
	RowState   *state = palloc0(sizeof(RowState));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	state->rel = rel;
	state->context = CurrentMemoryContext;
	state->rules = relation_rules_get(rel, trigger);
	callback->func = release_rules;
	callback->arg = state->rules;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	state->given = palloc0(sizeof(Given) * state->rules->ncolumns);
	return state;
}

/* What only a row that is worked on needs. */
static void
prepare_work(RowState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->context);

	state->row = MakeTupleTableSlot(state->rules->desc, &TTSOpsVirtual);
	state->replaced = palloc(sizeof(bool) * state->rules->desc->natts);
	state->expressions = palloc0(sizeof(ExprState *) *
								 Max(state->rules->nexpressions, 1));
	state->compiled = AllocSetContextCreate(state->context,
											"tandem expressions",
											ALLOCSET_SMALL_SIZES);
	state->econtext = CreateStandaloneExprContext();
	state->econtext->ecxt_scantuple = state->row;
	MemoryContextSwitchTo(caller);
}

/*
 * Not before the row is done with: what an expression returned may lie in its
 * own memory.
 */
static void
free_forgotten(RowState *state)
{
	if (!state->forgotten)
		return;
	MemoryContextReset(state->compiled);
	memset(state->expressions, 0,
		   sizeof(ExprState *) * state->rules->nexpressions);
	state->forgotten = false;
}

void
row_state_load(RowState *state, TupleTableSlot *row, TupleTableSlot *before,
			   int stored_natts)
{
	int			natts = state->rules->desc->natts;

	if (state->row == NULL)
		prepare_work(state);
	free_forgotten(state);
	ResetExprContext(state->econtext);
	ExecClearTuple(state->row);
	slot_getallattrs(row);
	memcpy(state->row->tts_values, row->tts_values, sizeof(Datum) * natts);
	memcpy(state->row->tts_isnull, row->tts_isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(state->row);
	state->before = before;
	state->stored_natts = stored_natts;
	state->changes = 0;
	memset(state->replaced, 0, sizeof(bool) * natts);
}

/* Whether two values of a column are the same, bit by bit. */
static bool
column_same_image(const RuleColumn *column, Datum a, bool a_null,
				  Datum b, bool b_null)
{
	Form_pg_attribute att = column->att;

	if (a_null || b_null)
		return a_null && b_null;
	if (att->attbyval || a == b)
		return datum_image_eq(a, b, att->attbyval, att->attlen);
	if (att->attlen == -1)
	{
		struct varlena *va = (struct varlena *) DatumGetPointer(a);
		struct varlena *vb = (struct varlena *) DatumGetPointer(b);

		/* the same pointer into the TOAST table: no need to fetch it */
		if (VARATT_IS_EXTERNAL_ONDISK(va) && VARATT_IS_EXTERNAL_ONDISK(vb) &&
			memcmp(va, vb, VARSIZE_EXTERNAL(va)) == 0)
			return true;
	}
	return datum_image_eq(a, b, att->attbyval, att->attlen);
}

bool
column_equal(const RuleColumn *column, Datum a, bool a_null,
			 Datum b, bool b_null)
{
	if (column_same_image(column, a, a_null, b, b_null))
		return true;
	if (a_null || b_null || column->equal == NULL)
		return false;
	return DatumGetBool(FunctionCall2Coll(column->equal,
										  column->att->attcollation, a, b));
}

Given
row_column_given(RowState *state, const RuleColumn *column,
				 TupleTableSlot *row, TupleTableSlot *before)
{
	bool		isnull;
	Datum		value = slot_getattr(row, column->attnum, &isnull);

	if (before)
	{
		bool		was_null;
		Datum		was = slot_getattr(before, column->attnum, &was_null);

		return column_same_image(column, value, isnull, was, was_null)
			? GIVEN_NO : GIVEN_YES;
	}
	if (column->default_kind == DEFAULT_COMPUTED)
		return GIVEN_MAYBE;
	return column_same_image(column, value, isnull, column->default_value,
							 column->default_kind == DEFAULT_NULL)
		? GIVEN_NO : GIVEN_YES;
}

Given
row_side_given(const RowState *state, const RuleSide *side)
{
	Given		given = GIVEN_NO;

	for (int i = 0; i < side->ncolumns; i++)
		given = Max(given, state->given[side->columns[i]]);
	return given;
}

void
row_settle_doubts(RowState *state)
{
	if (!state->columns_sought)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		state->named_columns = given_columns(state->rel, state->context,
											 &state->columns_known);
		state->columns_sought = true;
		MemoryContextSwitchTo(caller);
	}
	if (!state->columns_known)
		return;
	for (int i = 0; i < state->rules->ncolumns; i++)
	{
		if (state->given[i] == GIVEN_MAYBE)
			state->given[i] = bms_is_member(state->rules->columns[i].attnum,
											state->named_columns)
				? GIVEN_YES : GIVEN_NO;
	}
}

typedef struct ComputeContext
{
	const RowState *state;
	const CompiledRule *rule;
	const RuleExpression *expression;
} ComputeContext;

static void
compute_error(void *arg)
{
	ComputeContext *context = arg;
	const RuleColumn *column = &context->state->rules->columns[context->expression->column];
	bool		up = context->expression >= context->rule->new_side.expressions &&
	context->expression < context->rule->new_side.expressions + context->rule->new_side.ncolumns;

	errcontext("%s of column \"%s\" of table \"%s\" in migration \"%s\"",
			   up ? "up" : "down", NameStr(column->att->attname),
			   RelationGetRelationName(context->state->rel),
			   context->rule->source->migration);
}

Datum
row_compute(RowState *state, const CompiledRule *rule,
			const RuleExpression *expression, bool *isnull)
{
	ComputeContext context = {state, rule, expression};
	ErrorContextCallback callback = {error_context_stack, compute_error, &context};
	ExprState **compiled = &state->expressions[expression->id];
	Datum		value;

	error_context_stack = &callback;
	if (*compiled == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->compiled);

		*compiled = ExecInitExpr((Expr *) copyObject(expression->plan->expr),
								 NULL);
		MemoryContextSwitchTo(caller);
	}
	value = ExecEvalExprSwitchContext(*compiled, state->econtext, isnull);
	error_context_stack = callback.previous;
	return value;
}

void
row_forget_compiled(RowState *state, const RuleSide *side)
{
	if (state->expressions == NULL)
		return;					/* no row was loaded yet */
	for (int i = 0; side->expressions && i < side->ncolumns; i++)
	{
		if (side->expressions[i].id >= 0)
			state->expressions[side->expressions[i].id] = NULL;
	}
	state->forgotten = true;
}

/*
 * In an UPDATE a column that comes out as it was is not given; in an INSERT
 * what a rule sets counts as given, for the rules that read it.
 */
void
row_set(RowState *state, int index, Datum value, bool isnull)
{
	RuleColumn *column = &state->rules->columns[index];
	int			i = column->attnum - 1;

	if (!column_same_image(column, value, isnull, state->row->tts_values[i],
						   state->row->tts_isnull[i]))
	{
		state->row->tts_values[i] = value;
		state->row->tts_isnull[i] = isnull;
		state->changes += state->replaced[i] ? 0 : 1;
		state->replaced[i] = true;
	}
	state->given[index] = state->before
		? row_column_given(state, column, state->row, state->before)
		: GIVEN_YES;
}

bool
row_is_unfilled(const RowState *state, const CompiledRule *rule)
{
	if (state->stored_natts < rule->first_new)
		return true;
	if (rule->exact)
		return false;
	for (int i = 0; i < rule->new_side.ncolumns; i++)
	{
		const RuleColumn *column = &state->rules->columns[rule->new_side.columns[i]];
		bool		isnull;
		Datum		value = slot_getattr(state->before, column->attnum, &isnull);

		if (isnull)
			continue;
		if (column->default_kind != DEFAULT_CONSTANT ||
			!column_same_image(column, value, false, column->default_value,
							   false))
			return false;
	}
	return true;
}

bool
row_needs_fill(RowState *state, TupleTableSlot *slot, int stored_natts)
{
	state->before = slot;
	state->stored_natts = stored_natts;
	for (int i = 0; i < state->rules->nrules; i++)
	{
		if (row_is_unfilled(state, &state->rules->rules[i]))
			return true;
	}
	return false;
}

static void
append_value(StringInfo text, Form_pg_attribute att, Datum value)
{
	Oid			output;
	bool		is_varlena;
	char	   *string;

	getTypeOutputInfo(att->atttypid, &output, &is_varlena);
	string = OidOutputFunctionCall(output, value);
	if (strlen(string) > VALUE_SHOWN)
	{
		string[pg_mbcliplen(string, strlen(string), VALUE_SHOWN)] = '\0';
		appendStringInfo(text, "%s...", string);
	}
	else
		appendStringInfoString(text, string);
}

char *
row_describe(const RowState *state, const RuleSide *side)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < side->ncolumns; i++)
	{
		Form_pg_attribute att = state->rules->columns[side->columns[i]].att;

		appendStringInfo(&text, "%s%s = ", text.len ? ", " : "",
						 NameStr(att->attname));
		if (state->row->tts_isnull[att->attnum - 1])
			appendStringInfoString(&text, "null");
		else
			append_value(&text, att, state->row->tts_values[att->attnum - 1]);
	}
	return text.data;
}
