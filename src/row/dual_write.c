/*
 * dual_write.c
 *		The dual write: what a writer has given, and what follows from it.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "nodes/parsenodes.h"
#include "replication/logicalworker.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "core/settings.h"
#include "row/dual_write.h"
#include "row/quarantine.h"

/*-------------------------------------------------------------------------
 * Which columns the running INSERT or COPY names.
 *
 * The parser notes the named target columns of an INSERT for the check of
 * privileges; the active portal holds the plan and so those notes.
 *-------------------------------------------------------------------------
 */

/* Columns of a parent, by the numbers that they have in rel. */
static Bitmapset *
map_columns_to_relation(Bitmapset *columns, Oid parent, Relation rel)
{
	Bitmapset  *mapped = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;
		char	   *name = get_attname(parent, attnum, true);

		if (attnum > 0 && name)
			mapped = bms_add_member(mapped, get_attnum(RelationGetRelid(rel),
													   name));
	}
	return mapped;
}

static Bitmapset *
columns_of_copy(CopyStmt *copy, Oid relid, bool *found)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	*found = copy->is_from && copy->relation &&
		RangeVarGetRelid(copy->relation, NoLock, true) == relid;
	if (!*found)
		return NULL;
	foreach(lc, copy->attlist)
	{
		AttrNumber	attnum = get_attnum(relid, strVal(lfirst(lc)));

		columns = bms_add_member(columns,
								 attnum - FirstLowInvalidHeapAttributeNumber);
	}
	if (copy->attlist == NIL)
	{
		for (AttrNumber attnum = 1; get_attname(relid, attnum, true); attnum++)
			columns = bms_add_member(columns,
									 attnum - FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

/*
 * A statement that the portal runs itself has its context right under the
 * portal's, and COPY works in that one; a statement that a function runs has
 * it under SPI's.
 */
static bool
statement_is_run_by_portal(MemoryContext statement)
{
	return ActivePortal && list_length(ActivePortal->stmts) == 1 &&
		(statement == ActivePortal->portalContext ||
		 MemoryContextGetParent(statement) == ActivePortal->portalContext);
}

Bitmapset *
given_columns(Relation rel, MemoryContext statement, bool *known)
{
	PlannedStmt *stmt;
	List	   *targets = list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	*known = false;
	if (!statement_is_run_by_portal(statement))
		return NULL;
	stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (rel->rd_rel->relispartition)
		targets = list_concat(targets,
							  get_partition_ancestors(RelationGetRelid(rel)));
	foreach(lc, targets)
	{
		Oid			target = lfirst_oid(lc);
		Bitmapset  *columns;

		if (stmt->commandType == CMD_UTILITY)
			columns = IsA(stmt->utilityStmt, CopyStmt)
				? columns_of_copy((CopyStmt *) stmt->utilityStmt, target,
								  known)
				: NULL;
		else
			columns = compat_inserted_columns(stmt, target, known);
		if (*known)
			return map_columns_to_relation(columns, target, rel);
	}
	return NULL;
}

/*-------------------------------------------------------------------------
 * The dual-write rule: what becomes of a row that somebody writes.
 *
 * Each rule runs once a row.  A rule runs as soon as one of its sides is
 * given; what it sets is given to the rules next to it, so that a chain is
 * followed from wherever the writer took hold of it, in both directions.
 * Rules that nothing reaches come last: they fill a row that was never filled.
 *-------------------------------------------------------------------------
 */

bool
dual_write_concerns(RowState *state, TupleTableSlot *row,
					TupleTableSlot *before, int stored_natts)
{
	return row_note_given(state, row, before) || before == NULL ||
		row_needs_fill(state, before, stored_natts);
}

static void
compute_side(RowState *state, CompiledRule *rule, RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		NullableDatum *result = &state->computed[i];

		if (side->expressions[i].id >= 0)
			result->value = row_compute(state, rule, &side->expressions[i],
										&result->isnull);
	}
}

typedef struct SideCall
{
	RowState   *state;
	CompiledRule *rule;
	RuleSide   *side;
} SideCall;

static void
compute_side_call(void *arg)
{
	SideCall   *call = arg;

	compute_side(call->state, call->rule, call->side);
}

/*
 * Computes a side into state->computed.  Where the rule quarantines, an error
 * of the transform is returned rather than raised.
 */
static ErrorData *
try_compute_side(RowState *state, CompiledRule *rule, RuleSide *side)
{
	SideCall	call = {state, rule, side};
	ErrorData  *error = NULL;

	if (rule->source->quarantine)
		error = quarantine_try(compute_side_call, &call);
	else
		compute_side(state, rule, side);
	if (error)
		row_forget_compiled(state, side);
	return error;
}

/*
 * Sets the columns of a side that have an expression; with only_missing those
 * alone that the writer did not give.
 */
static bool
set_side(RowState *state, CompiledRule *rule, RuleSide *side,
		 const char *direction, bool only_missing)
{
	ErrorData  *error;

	if (side->expressions == NULL)
		return true;
	error = try_compute_side(state, rule, side);
	if (error)
		quarantine_record(state, rule, direction, error);
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->expressions[i].id < 0 ||
			(only_missing && state->given[side->columns[i]] == GIVEN_YES))
			continue;
		row_set(state, side->columns[i],
				error ? (Datum) 0 : state->computed[i].value,
				error ? true : state->computed[i].isnull);
	}
	return error == NULL;
}

bool
dual_write_raises(RowState *state, CompiledRule *rule)
{
	return try_compute_side(state, rule, &rule->new_side) != NULL ||
		(rule->old_side.expressions != NULL &&
		 try_compute_side(state, rule, &rule->old_side) != NULL);
}

bool
dual_write_forward(RowState *state, CompiledRule *rule)
{
	return set_side(state, rule, &rule->new_side, "up", false);
}

bool
dual_write_backward(RowState *state, CompiledRule *rule)
{
	return set_side(state, rule, &rule->old_side, "down", false);
}

/*
 * Whether the side is what its expressions say.  *judged is false when that
 * cannot be said: it has none, they are volatile, or they raise.
 */
static bool
side_agrees(RowState *state, CompiledRule *rule, RuleSide *side, bool *judged)
{
	*judged = side->expressions != NULL && !side->is_volatile;
	if (!*judged)
		return false;
	if (try_compute_side(state, rule, side) != NULL)
	{
		*judged = false;
		return false;
	}
	for (int i = 0; i < side->ncolumns; i++)
	{
		RuleColumn *column = &state->rules->columns[side->columns[i]];
		int			attr = column->attnum - 1;

		if (side->expressions[i].id >= 0 &&
			!column_equal(column, state->computed[i].value,
						  state->computed[i].isnull,
						  state->row->tts_values[attr],
						  state->row->tts_isnull[attr]))
			return false;
	}
	return true;
}

bool
dual_write_agrees(RowState *state, CompiledRule *rule)
{
	bool		up_judged;
	bool		down_judged;

	if (side_agrees(state, rule, &rule->new_side, &up_judged))
		return true;
	if (side_agrees(state, rule, &rule->old_side, &down_judged))
		return true;
	/* a volatile up alone: who filled the row is believed */
	return rule->new_side.is_volatile && !down_judged;
}

static void
raise_conflict(RowState *state, CompiledRule *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("old and new columns of table \"%s\" were both written, and disagree",
					RelationGetRelationName(state->rel)),
			 errdetail("Old: %s. New: %s. Migration: \"%s\".",
					   row_describe(state, &rule->old_side),
					   row_describe(state, &rule->new_side),
					   rule->source->migration),
			 errhint("Write one side, or both in agreement; or create the sync with on_conflict => 'new' or 'old'.")));
}

static bool
sides_share_column(const RuleSide *a, const RuleSide *b)
{
	for (int i = 0; i < a->ncolumns; i++)
	{
		for (int j = 0; j < b->ncolumns; j++)
		{
			if (a->columns[i] == b->columns[j])
				return true;
		}
	}
	return false;
}

/*
 * A side that has just been set may have been used already, by rules that ran
 * before: they follow it once more, and what they set is followed in turn.
 */
static void
follow_changed_side(RowState *state, CompiledRule *from, RuleSide *changed,
					bool *done)
{
	RelationRules *rules = state->rules;

	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];
		bool		forward;
		RuleSide   *target;

		if (rule == from || !done[i])
			continue;
		forward = sides_share_column(&rule->old_side, changed);
		target = forward ? &rule->new_side : &rule->old_side;
		if ((!forward && !sides_share_column(&rule->new_side, changed)) ||
			dual_write_agrees(state, rule))
			continue;
		if (rule->source->on_conflict == ON_CONFLICT_ERROR &&
			row_side_given(state, target) == GIVEN_YES)
			raise_conflict(state, rule);
		done[i] = false;		/* not again on this way */
		if (forward)
			(void) dual_write_forward(state, rule);
		else
			(void) dual_write_backward(state, rule);
		follow_changed_side(state, rule, target, done);
		done[i] = true;
	}
}

/* A side as an expression that failed leaves it: null, and it fails still. */
static bool
side_is_quarantined(RowState *state, CompiledRule *rule, RuleSide *side,
					const char *direction)
{
	ErrorData  *error;

	if (side->expressions == NULL)
		return false;
	for (int i = 0; i < side->ncolumns; i++)
	{
		int			column = state->rules->columns[side->columns[i]].attnum - 1;

		if (side->expressions[i].id >= 0 && !state->row->tts_isnull[column])
			return false;
	}
	error = try_compute_side(state, rule, side);
	if (error)
		quarantine_record(state, rule, direction, error);
	return error != NULL;
}

/*
 * A row of another server arrives with both sides written, by the writer and by
 * the sync there.  What that sync has put into quarantine is put there here as
 * well, whatever on_conflict says of a writer: as an error it would stop the
 * subscription, and to follow the null would lose what was written.
 */
static bool
keep_quarantined_row(RowState *state, CompiledRule *rule)
{
	if (!rule->source->quarantine ||
		(rule->source->on_conflict != ON_CONFLICT_ERROR && !IsLogicalWorker()))
		return false;
	return side_is_quarantined(state, rule, &rule->new_side, "up") ||
		side_is_quarantined(state, rule, &rule->old_side, "down");
}

static void
settle_both_given(RowState *state, CompiledRule *rule, bool *done)
{
	if (dual_write_agrees(state, rule) || keep_quarantined_row(state, rule))
		return;
	switch (rule->source->on_conflict)
	{
		case ON_CONFLICT_ERROR:
			raise_conflict(state, rule);
			break;
		case ON_CONFLICT_NEW:
			(void) dual_write_backward(state, rule);
			follow_changed_side(state, rule, &rule->old_side, done);
			break;
		case ON_CONFLICT_OLD:
			(void) dual_write_forward(state, rule);
			follow_changed_side(state, rule, &rule->new_side, done);
			break;
	}
}

/* Whether the session says that it is a release which knows the new columns. */
static bool
session_knows_new_columns(const CompiledRule *rule)
{
	return setting_release > 0 && rule->source->release > 0 &&
		setting_release >= rule->source->release;
}

static bool
session_knows_old_columns_only(const CompiledRule *rule)
{
	return setting_release > 0 && rule->source->release > 0 &&
		setting_release < rule->source->release;
}

/*
 * A side in doubt holds what may be a computed default.  The statement tells,
 * where it can be reached; else the session's release; else a side that is
 * surely given wins over one in doubt, and the new side over the old.
 */
static void
settle_sides(RowState *state, CompiledRule *rule, Given *old, Given *new)
{
	if (*old != GIVEN_MAYBE && *new != GIVEN_MAYBE)
		return;
	row_settle_doubts(state);
	*old = row_side_given(state, &rule->old_side);
	*new = row_side_given(state, &rule->new_side);
	if (*old == GIVEN_MAYBE && (session_knows_new_columns(rule) ||
								(*new == GIVEN_MAYBE &&
								 !session_knows_old_columns_only(rule))))
		*old = GIVEN_NO;
	if (*new == GIVEN_MAYBE && session_knows_old_columns_only(rule))
		*new = GIVEN_NO;
	if (*old == GIVEN_MAYBE)
		*old = (*new == GIVEN_YES) ? GIVEN_NO : GIVEN_YES;
	if (*new == GIVEN_MAYBE)
		*new = (*old == GIVEN_YES) ? GIVEN_NO : GIVEN_YES;
}

/* Runs a rule one of whose sides is given; false: none is. */
static bool
run_rule(RowState *state, CompiledRule *rule, bool *done)
{
	Given		old = row_side_given(state, &rule->old_side);
	Given		new = row_side_given(state, &rule->new_side);

	if (old == GIVEN_NO && new == GIVEN_NO)
		return false;
	settle_sides(state, rule, &old, &new);
	if (old == GIVEN_NO && new == GIVEN_NO)
		return false;
	/* a writer of some new columns of an unfilled row means up for the rest */
	if (new == GIVEN_YES && rule->new_side.ncolumns > 1 && state->before &&
		row_is_unfilled(state, rule))
		(void) set_side(state, rule, &rule->new_side, "up", true);
	if (new == GIVEN_NO)
	{
		(void) dual_write_forward(state, rule);
		if (row_side_given(state, &rule->new_side) == GIVEN_YES)
			follow_changed_side(state, rule, &rule->new_side, done);
	}
	else if (old == GIVEN_NO)
	{
		(void) dual_write_backward(state, rule);
		if (row_side_given(state, &rule->old_side) == GIVEN_YES)
			follow_changed_side(state, rule, &rule->old_side, done);
	}
	else
		settle_both_given(state, rule, done);
	return true;
}

/* Runs the rules that something given reaches, each once. */
static void
follow_given_columns(RowState *state, bool *done)
{
	RelationRules *rules = state->rules;
	bool		progress;

	do
	{
		progress = false;
		for (int i = 0; i < rules->nrules; i++)
		{
			if (!done[i] && run_rule(state, &rules->rules[i], done))
				done[i] = progress = true;
		}
	} while (progress);
}

/*
 * An INSERT that gives nothing, by a release that knows the new columns: it
 * means what they hold.  The last rule of a chain comes first, as its columns
 * are the newest that the release knows.
 */
static void
follow_declared_release(RowState *state, bool *done)
{
	RelationRules *rules = state->rules;

	for (int i = rules->nrules - 1; i >= 0; i--)
	{
		CompiledRule *rule = &rules->rules[i];

		if (done[i] || !session_knows_new_columns(rule))
			continue;
		for (int j = 0; j < rule->new_side.ncolumns; j++)
			state->given[rule->new_side.columns[j]] = GIVEN_YES;
		done[i] = true;
		(void) dual_write_backward(state, rule);
		follow_given_columns(state, done);
	}
}

void
dual_write_apply(RowState *state)
{
	RelationRules *rules = state->rules;
	bool	   *done = state->done;

	memset(done, 0, sizeof(bool) * rules->nrules);
	follow_given_columns(state, done);
	if (state->before == NULL)
		follow_declared_release(state, done);
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		if (done[i] || run_rule(state, rule, done))
			continue;
		if (state->before == NULL || row_is_unfilled(state, rule))
			(void) dual_write_forward(state, rule);
	}
}

int
dual_write_fill(RowState *state, int forced)
{
	RelationRules *rules = state->rules;
	int			quarantined = 0;

	memset(state->given, 0, sizeof(Given) * rules->ncolumns);
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		if (row_side_given(state, &rule->old_side) == GIVEN_NO &&
			rule->source->id != forced && !row_is_unfilled(state, rule))
			continue;
		if (!dual_write_forward(state, rule))
			quarantined++;
	}
	return quarantined;
}
