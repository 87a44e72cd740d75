/*
 * row_state.c
 *		The state of one row while the rules of its relation are applied.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"
#include "row/arrived_default.h"
#include "row/dual_write.h"
#include "row/row_state.h"
#include "row/unfit_value.h"
#include "row/write_target.h"
#include "rule/relation_rules.h"

/* maximum length of a value in a message, in bytes */
#define VALUE_SHOWN 60

/*
 * Incremented when a function, a role or a membership changes.  An executable
 * expression has checked EXECUTE privilege and looked up its functions when it
 * was made, so it must be made again then.
 */
static uint64 function_changes = 0;

/* Invalidation callback.  It may be called at any time, so it only counts. */
static void
count_function_change(Datum arg, int cache, uint32 hash)
{
	function_changes++;
}

/*
 * Makes a state in a memory context below that of the rules, since it may be
 * kept for later statements.
 */
static RowState *
make_row_state(RelationRules *rules)
{
	static bool registered = false;
	MemoryContext context = AllocSetContextCreate(rules->context,
												  "tandem row",
												  ALLOCSET_SMALL_SIZES);
	RowState   *state = MemoryContextAllocZero(context, sizeof(RowState));

	if (!registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, count_function_change,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, count_function_change,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, count_function_change,
									  (Datum) 0);
		registered = true;
	}
	state->context = context;
	state->rules = rules;
	state->function_changes = function_changes;
	state->given = MemoryContextAllocZero(context,
										  sizeof(Given) * rules->ncolumns);
	return state;
}

/*
 * May the next statement use this state?  Not if its expressions call
 * user-defined functions, which may have cached something in them that holds
 * for one statement only, and not after an expression failed.
 */
static bool
row_state_may_be_kept(const RowState *state)
{
	return !state->computing &&
		(state->row == NULL || state->rules->only_builtin) &&
		state->function_changes == function_changes;
}

static void
end_row_statement(void *arg)
{
	RowState   *state = arg;
	RelationRules *rules = state->rules;
	TableRules *table = state->table;

	if (rules->idle == NULL && row_state_may_be_kept(state))
	{
		if (state->econtext)
			ResetExprContext(state->econtext);
		rules->idle = state;
	}
	else
		MemoryContextDelete(state->context);
	relation_rules_release(table);
}

/* Returns a state that no running statement uses. */
static RowState *
take_idle_row_state(RelationRules *rules)
{
	RowState   *state = rules->idle;

	rules->idle = NULL;
	if (state && !row_state_may_be_kept(state))
	{
		MemoryContextDelete(state->context);
		state = NULL;
	}
	return state ? state : make_row_state(rules);
}

RowState *
row_state_create(Relation rel, const Trigger *trigger)
{
	TableRules *table = relation_rules_get(rel, trigger);
	RowState   *state = take_idle_row_state(table->rules);

	state->rel = rel;
	state->table = table;
	state->statement = CurrentMemoryContext;
	state->call = NULL;
	state->writer = NULL;
	state->release = -1;
	state->named_known = false;
	state->without_notes = NULL;
	state->owner = InvalidOid;
	state->end.func = end_row_statement;
	state->end.arg = state;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &state->end);
	return state;
}

/* Makes what is needed only for rows that the rules are applied to. */
static void
prepare_row_work(RowState *state)
{
	RelationRules *rules = state->rules;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	TupleTableSlot *row = compat_make_slot(rules->desc, &TTSOpsVirtual);

	state->outcomes = palloc(sizeof(RuleOutcome) * rules->nrules);
	state->computed = palloc(sizeof(NullableDatum) * rules->widest_side);
	state->expressions = palloc0(sizeof(ExprState *) *
								 Max(rules->nexpressions, 1));
	state->compiled = AllocSetContextCreate(state->context,
											"tandem expressions",
											ALLOCSET_SMALL_SIZES);
	state->econtext = CreateStandaloneExprContext();
	state->econtext->ecxt_scantuple = row;
	state->row = ExecStoreVirtualTuple(row);
	MemoryContextSwitchTo(caller);
}

/*
 * Wait until the row is done before freeing: the value that an expression
 * returned may lie in its own memory.
 */
static void
free_forgotten_expressions(RowState *state)
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
		prepare_row_work(state);
	free_forgotten_expressions(state);
	ResetExprContext(state->econtext);
	slot_getallattrs(row);
	memcpy(state->row->tts_values, row->tts_values, sizeof(Datum) * natts);
	memcpy(state->row->tts_isnull, row->tts_isnull, sizeof(bool) * natts);
	state->before = before;
	state->stored_natts = stored_natts;
	state->first_replaced = InvalidAttrNumber;
}

/* Compares two values of a pass-by-reference type bit by bit. */
static bool
same_datum_bytes(Form_pg_attribute att, Datum a, Datum b)
{
	if (att->attlen == -1)
	{
		struct varlena *va = (struct varlena *) DatumGetPointer(a);
		struct varlena *vb = (struct varlena *) DatumGetPointer(b);

		/* the same TOAST pointer: no need to fetch the value */
		if (VARATT_IS_EXTERNAL_ONDISK(va) && VARATT_IS_EXTERNAL_ONDISK(vb) &&
			memcmp(va, vb, VARSIZE_EXTERNAL(va)) == 0)
			return true;
	}
	return datum_image_eq(a, b, att->attbyval, att->attlen);
}

/* Compares two values of a column bit by bit. */
static inline bool
same_column_image(const RuleColumn *column, Datum a, bool a_null,
				  Datum b, bool b_null)
{
	if (a_null || b_null)
		return a_null && b_null;
	return a == b ||
		(!column->att->attbyval && same_datum_bytes(column->att, a, b));
}

bool
column_equal(const RuleColumn *column, Datum a, bool a_null,
			 Datum b, bool b_null)
{
	if (same_column_image(column, a, a_null, b, b_null))
		return true;
	if (a_null || b_null || column->equal == NULL)
		return false;
	return DatumGetBool(FunctionCall2Coll(column->equal,
										  column->att->attcollation, a, b));
}

/*
 * Determines by image whether a column is given.  Both slots must be deformed
 * up to that column.
 */
static inline Given
column_is_given(const RuleColumn *column, const TupleTableSlot *row,
				const TupleTableSlot *before)
{
	int			i = column->attnum - 1;
	Datum		value = row->tts_values[i];
	bool		isnull = row->tts_isnull[i];

	if (before)
		return same_column_image(column, value, isnull, before->tts_values[i],
								 before->tts_isnull[i])
			? GIVEN_ABSENT : GIVEN_YES;
	if (column->default_kind == DEFAULT_COMPUTED)
		return GIVEN_DOUBT;
	return same_column_image(column, value, isnull, column->default_value,
							 column->default_kind == DEFAULT_NULL)
		? GIVEN_ABSENT : GIVEN_YES;
}

bool
row_is_stored_row(const RowState *state, TupleTableSlot *row,
				  TupleTableSlot *stored, int stored_natts)
{
	const RelationRules *rules = state->rules;

	slot_getallattrs(row);
	slot_getallattrs(stored);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		const RuleColumn *column = &rules->columns[i];
		int			attr = column->attnum - 1;

		if (attr >= stored_natts && row->tts_isnull[attr])
			continue;
		if (!same_column_image(column, row->tts_values[attr],
							   row->tts_isnull[attr],
							   stored->tts_values[attr],
							   stored->tts_isnull[attr]))
			return false;
	}
	return true;
}

bool
row_note_given(RowState *state, TupleTableSlot *row, TupleTableSlot *before)
{
	RelationRules *rules = state->rules;
	bool		any = false;

	state->settled = before != NULL;
	slot_getsomeattrs(row, rules->last_column);
	if (before)
		slot_getsomeattrs(before, rules->last_column);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		state->given[i] = column_is_given(&rules->columns[i], row, before);
		any |= state->given[i] != GIVEN_ABSENT;
	}
	return any;
}

const WriterStatement *
row_writer(RowState *state)
{
	static const WriterStatement unknown;

	if (state->call == NULL)
		return &unknown;
	if (state->writer == NULL)
		state->writer = writer_statement_find(state->rel, state->call,
											  state->rules->rules[0].source->search_path);
	writer_statement_begin_row(state->writer);
	return state->writer;
}

int
row_declared_release(RowState *state)
{
	bool		view_counts = setting_release == 0 && state->rules->any_release;

	return writer_release(view_counts ? row_writer(state)->view_release : 0);
}

int
row_writer_release(RowState *state)
{
	/*
	 * What a foreign key cascades, and a fill that fires triggers, is not
	 * what the application says.
	 */
	if (state->release < 0)
		state->release = query_is_running() || InNoForceRLSOperation() ? 0
			: row_declared_release(state);
	return state->release;
}

/* Is the column named, which holds its default, or in doubt a value? */
static Given
given_by_statement(const WriterStatement *writer, AttrNumber attnum,
				   Given given)
{
	if (!bms_is_member(attnum, writer->named))
		return GIVEN_ABSENT;
	if (given == GIVEN_DOUBT &&
		!writer_statement_gives_default(writer, attnum))
		return GIVEN_YES;
	return GIVEN_NAMED;
}

/*
 * What a server that knows one side alone has sent must not lose to a number
 * that is drawn here for the other one.
 */
static void
settle_arrived_doubts(RowState *state)
{
	for (int i = 0; i < state->rules->ncolumns; i++)
	{
		const RuleColumn *column = &state->rules->columns[i];
		int			attr = column->attnum - 1;

		if (state->given[i] == GIVEN_DOUBT &&
			arrived_default_is_value(state->rel, column,
									 state->row->tts_values[attr],
									 state->row->tts_isnull[attr],
									 state->econtext,
									 state->rules->rules[0].source->search_path))
			state->given[i] = GIVEN_ABSENT;
	}
}

void
row_settle_doubts(RowState *state)
{
	const WriterStatement *writer;

	if (state->settled)
		return;
	state->settled = true;
	writer = row_writer(state);
	if (!writer->known && IsLogicalWorker())
		settle_arrived_doubts(state);
	if (!writer->known || !writer->inserts)
		return;
	for (int i = 0; i < state->rules->ncolumns; i++)
	{
		if (state->given[i] == GIVEN_ABSENT || state->given[i] == GIVEN_DOUBT)
			state->given[i] = given_by_statement(writer,
												 state->rules->columns[i].attnum,
												 state->given[i]);
	}
}

/* Is the column of an INSERT by another name a value, or named, or absent? */
static Given
given_by_other_name(const RowState *state, const WriterStatement *writer,
					const RuleColumn *column)
{
	int			i = column->attnum - 1;

	if (!bms_is_member(column->attnum, writer->named))
		return GIVEN_ABSENT;
	return writer_statement_value_is_default(writer, column,
											 state->row->tts_values[i],
											 state->row->tts_isnull[i])
		? GIVEN_NAMED : GIVEN_YES;
}

void
row_settle_named(RowState *state)
{
	const WriterStatement *writer;

	if (state->settled)
		return;
	if (!state->named_known)
	{
		state->may_name_other = state->call &&
			write_target_may_name_other(state->rel, state->call);
		state->named_known = true;
	}
	if (!state->may_name_other)
		return;
	writer = row_writer(state);
	if (!writer->known || !writer->inserts || !writer->names_other)
		return;
	state->settled = true;
	for (int i = 0; i < state->rules->ncolumns; i++)
		state->given[i] = given_by_other_name(state, writer,
											  &state->rules->columns[i]);
}

typedef struct ComputeContext
{
	const RowState *state;
	const CompiledRule *rule;
	const RuleExpression *expression;
} ComputeContext;

static void
compute_error_callback(void *arg)
{
	ComputeContext *context = arg;
	const RuleColumn *column = &context->state->rules->columns[context->expression->column];
	bool		up = context->expression >= context->rule->new_side.expressions &&
	context->expression < context->rule->new_side.expressions + context->rule->new_side.ncolumns;

	/* what is noted or counted instead is shown as it is */
	if (!up && context->state->call && !context->rule->source->quarantine)
		unfit_value_explain(context->state, context->rule, column);
	errcontext("%s of column \"%s\" of table \"%s\" in migration \"%s\"",
			   up ? "up" : "down", NameStr(column->att->attname),
			   RelationGetRelationName(context->state->rel),
			   context->rule->source->migration);
}

static inline void
set_owner(RowState *state)
{
	if (!OidIsValid(state->owner))
		state->owner = authority_owner_of(state->rules->root);
}

/* Each has a scope of its own: what one sets, the next does not see. */
static inline Datum
compute_as_owner(RowState *state, const CompiledRule *rule,
				 const RuleExpression *expression, bool before, bool *isnull)
{
	ComputeContext context = {state, rule, expression};
	ErrorContextCallback callback = {error_context_stack,
	compute_error_callback, &context};
	ExprState **compiled = &state->expressions[expression->id];
	AuthorityScope scope;
	Datum		value;

	set_owner(state);
	error_context_stack = &callback;
	state->computing = true;
	authority_enter_evaluation(&scope, state->owner, rule->search_path);
	if (*compiled == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->compiled);

		*compiled = ExecInitExpr((Expr *) copyObject(expression->plan->expr),
								 NULL);
		MemoryContextSwitchTo(caller);
	}
	state->econtext->ecxt_scantuple = before ? state->before : state->row;
	value = ExecEvalExprSwitchContext(*compiled, state->econtext, isnull);
	authority_leave_evaluation(&scope);
	state->computing = false;
	error_context_stack = callback.previous;
	/* else the next function that gets the value may take it and change it */
	return MakeExpandedObjectReadOnly(value, *isnull,
									  state->rules->columns[expression->column].att->attlen);
}

Datum
row_compute(RowState *state, const CompiledRule *rule,
			const RuleExpression *expression, bool before, bool *isnull)
{
	return compute_as_owner(state, rule, expression, before, isnull);
}

void
row_compute_side(RowState *state, const CompiledRule *rule,
				 const RuleSide *side, bool before)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		NullableDatum *result = &state->computed[i];

		if (side->expressions[i].id >= 0)
			result->value = compute_as_owner(state, rule, &side->expressions[i],
											 before, &result->isnull);
	}
}

bool
row_column_is_computed(const RowState *state, const RuleSide *side, int index)
{
	const RuleColumn *column = &state->rules->columns[side->columns[index]];
	int			attr = column->attnum - 1;

	return column_equal(column, state->computed[index].value,
						state->computed[index].isnull,
						state->row->tts_values[attr],
						state->row->tts_isnull[attr]);
}

bool
row_side_is_computed(const RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->expressions[i].id >= 0 &&
			!row_column_is_computed(state, side, i))
			return false;
	}
	return true;
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
	state->computing = false;
}

static inline void
replace_column_value(RowState *state, const RuleColumn *column, Datum value,
					 bool isnull)
{
	int			i = column->attnum - 1;

	if (same_column_image(column, value, isnull, state->row->tts_values[i],
						  state->row->tts_isnull[i]))
		return;
	state->row->tts_values[i] = value;
	state->row->tts_isnull[i] = isnull;
	if (state->first_replaced == InvalidAttrNumber ||
		state->first_replaced > column->attnum)
		state->first_replaced = column->attnum;
}

/*
 * In an UPDATE, a column that ends up with its old value is not given.  In an
 * INSERT, a column that a rule sets counts as given for the rules that read
 * it.
 */
void
row_set(RowState *state, int index, Datum value, bool isnull)
{
	RuleColumn *column = &state->rules->columns[index];

	replace_column_value(state, column, value, isnull);
	state->given[index] = state->before
		? column_is_given(column, state->row, state->before)
		: GIVEN_YES;
}

/* Computes the default of a column again, as the owner of the table. */
static void
give_computed_default(RowState *state, const RuleColumn *column)
{
	const char *search_path = state->rules->rules[0].source->search_path;
	AuthorityScope scope;
	bool		unknown;
	bool		isnull = true;
	Datum		value = (Datum) 0;
	Node	   *expression = writer_statement_default(row_writer(state),
													  column->attnum, &unknown);

	if (unknown)
		return;
	if (expression)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->econtext->ecxt_per_tuple_memory);

		set_owner(state);
		authority_enter_evaluation(&scope, state->owner, search_path);
		value = ExecEvalExpr(ExecInitExpr((Expr *) copyObject(expression), NULL),
							 state->econtext, &isnull);
		if (get_typtype(column->att->atttypid) == TYPTYPE_DOMAIN)
			domain_check(value, isnull, column->att->atttypid, NULL, NULL);
		authority_leave_evaluation(&scope);
		value = MakeExpandedObjectReadOnly(value, isnull, column->att->attlen);
		MemoryContextSwitchTo(caller);
	}
	replace_column_value(state, column, value, isnull);
}

void
row_take_back(RowState *state, int index)
{
	RuleColumn *column = &state->rules->columns[index];

	if (state->before)
		replace_column_value(state, column,
							 state->before->tts_values[column->attnum - 1],
							 state->before->tts_isnull[column->attnum - 1]);
	else if (column->default_kind != DEFAULT_COMPUTED)
		replace_column_value(state, column, column->default_value,
							 column->default_kind == DEFAULT_NULL);
	else if (state->given[index] != GIVEN_NAMED)
		give_computed_default(state, column);
	state->given[index] = GIVEN_ABSENT;
}

bool
row_column_is_default(const RowState *state, int index)
{
	const RuleColumn *column = &state->rules->columns[index];
	int			i = column->attnum - 1;

	return state->row->tts_isnull[i] ||
		(column->default_kind == DEFAULT_CONSTANT &&
		 same_column_image(column, state->row->tts_values[i], false,
						   column->default_value, false));
}

bool
row_seems_unfilled(const RowState *state, const CompiledRule *rule)
{
	for (int i = 0; i < rule->new_side.ncolumns; i++)
	{
		const RuleColumn *column = &state->rules->columns[rule->new_side.columns[i]];
		bool		isnull;
		Datum		value = slot_getattr(state->before, column->attnum, &isnull);

		if (isnull)
			continue;
		if (column->default_kind != DEFAULT_CONSTANT ||
			!same_column_image(column, value, false, column->default_value,
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
	appendStringInfoString(text, text_shortened(string, VALUE_SHOWN));
}

/*
 * May the current user see this column?  Follows the server's own messages
 * (ExecBuildSlotValueDescription): SELECT privilege is needed, and row-level
 * security of the table must not apply to the user.
 */
static bool
user_may_select_column(Oid relid, const char *column)
{
	AttrNumber	attnum = get_attnum(relid, column);

	if (attnum == InvalidAttrNumber ||
		check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, attnum, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* For a partition, SELECT on a table above it is enough. */
static bool
user_may_see_column(Oid relid, const char *column)
{
	ListCell   *lc;

	if (user_may_select_column(relid, column))
		return true;
	if (!get_rel_relispartition(relid))
		return false;
	foreach(lc, get_partition_ancestors(relid))
	{
		if (user_may_select_column(lfirst_oid(lc), column))
			return true;
	}
	return false;
}

char *
row_describe(const RowState *state, const RuleSide *side)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < side->ncolumns; i++)
	{
		Form_pg_attribute att = state->rules->columns[side->columns[i]].att;

		appendStringInfo(&text, "%s%s", text.len ? ", " : "",
						 NameStr(att->attname));
		if (!user_may_see_column(state->table->relid, NameStr(att->attname)))
			continue;
		appendStringInfoString(&text, " = ");
		if (state->row->tts_isnull[att->attnum - 1])
			appendStringInfoString(&text, "null");
		else
			append_value(&text, att, state->row->tts_values[att->attnum - 1]);
	}
	return text.data;
}
