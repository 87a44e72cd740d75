/*
 * dual_write.c
 *		Dual write: computes the other side of each rule for a row being
 *		written.
 */
#include "postgres.h"

#include "replication/logicalworker.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "core/settings.h"
#include "row/dual_write.h"
#include "row/quarantine.h"

/*-------------------------------------------------------------------------
 * The dual-write rule.
 *
 * Each rule runs at most once per row, as soon as one of its sides is given.
 * The columns that it sets then count as given for the rules that share them,
 * so a chain of rules is followed in both directions from the column that was
 * written.  Rules that are not reached run last; they fill a row that was
 * never filled.
 *-------------------------------------------------------------------------
 */

bool
dual_write_side_is_null(const RowState *state, TupleTableSlot *row,
						const RuleSide *side)
{
	if (side->expressions == NULL)
		return false;
	for (int i = 0; i < side->ncolumns; i++)
	{
		AttrNumber	attnum = state->rules->columns[side->columns[i]].attnum;

		if (side->expressions[i].id >= 0 && !slot_attisnull(row, attnum))
			return false;
	}
	return true;
}

bool
dual_write_looks_quarantined(const RowState *state, const CompiledRule *rule,
							 TupleTableSlot *row)
{
	return rule->source->quarantine &&
		(dual_write_side_is_null(state, row, &rule->new_side) ||
		 dual_write_side_is_null(state, row, &rule->old_side));
}

static bool
any_rule_looks_quarantined(const RowState *state, TupleTableSlot *row)
{
	for (int i = 0; i < state->rules->nrules; i++)
	{
		if (dual_write_looks_quarantined(state, &state->rules->rules[i], row))
			return true;
	}
	return false;
}

bool
dual_write_concerns(RowState *state, TupleTableSlot *row,
					TupleTableSlot *before, int stored_natts)
{
	return row_note_given(state, row, before) || before == NULL ||
		row_needs_fill(state, before, stored_natts) ||
		any_rule_looks_quarantined(state, row);
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
 * Computes a side into state->computed.  If the rule quarantines rows, an
 * error in up or down is returned instead of being thrown; NULL means success.
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
 * Sets the columns of a side that have an expression.  With only_missing, sets
 * only those that the writer did not give.  Returns false if the expression
 * failed and the row was put into quarantine; its columns are NULL then.
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
 * Does the side equal what its expressions compute?  *judged is set to false
 * if that cannot be told: there is no expression, it is volatile, or it fails.
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

	/*
	 * with a volatile up and nothing else to compare, trust the stored value
	 */
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
 * Rules that ran before may have used the old values of a side that was just
 * set.  Run those that now disagree again, then the rules that depend on what
 * these set.
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
		done[i] = false;		/* so that the recursion skips it */
		if (forward)
			(void) dual_write_forward(state, rule);
		else
			(void) dual_write_backward(state, rule);
		follow_changed_side(state, rule, target, done);
		done[i] = true;
	}
}

bool
dual_write_gives_side(const RuleSide *side)
{
	for (int i = 0; side->expressions && i < side->ncolumns; i++)
	{
		if (side->expressions[i].id < 0)
			return false;
	}
	return side->expressions != NULL;
}

/*
 * A side as an expression that failed leaves it: NULL, and it fails still.  If
 * the other expression says that the sides agree, a writer has put the NULL
 * there.
 */
static bool
side_is_quarantined(RowState *state, CompiledRule *rule, RuleSide *side,
					RuleSide *other, const char *direction)
{
	ErrorData  *error;
	bool		judged;

	if (!dual_write_side_is_null(state, state->row, side))
		return false;
	error = try_compute_side(state, rule, side);
	if (error == NULL || (dual_write_gives_side(other) &&
						  side_agrees(state, rule, other, &judged)))
		return false;
	quarantine_record(state, rule, direction, error);
	return true;
}

bool
dual_write_is_quarantined(RowState *state, CompiledRule *rule)
{
	return rule->source->quarantine &&
		(side_is_quarantined(state, rule, &rule->new_side, &rule->old_side, "up") ||
		 side_is_quarantined(state, rule, &rule->old_side, &rule->new_side, "down"));
}

/*
 * Notes a row again that a rule leaves as it is, since this version may have
 * another key, or lie elsewhere.  Where down does not tell who has put the NULL
 * into the new side, the note of the row as it was does; a row that has moved
 * to another partition has its note there.
 */
static void
keep_note(RowState *state, CompiledRule *rule)
{
	if (!dual_write_looks_quarantined(state, rule, state->row) ||
		(!dual_write_gives_side(&rule->old_side) &&
		 state->before != state->moved &&
		 !quarantine_has_row(state, rule, state->before)))
		return;
	(void) dual_write_is_quarantined(state, rule);
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
	if (rule->source->on_conflict != ON_CONFLICT_ERROR && !IsLogicalWorker())
		return false;
	return dual_write_is_quarantined(state, rule);
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

/* Has the session declared a release that knows the new columns? */
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
 * A side in doubt (GIVEN_MAYBE) holds what may be a computed default.  Decide
 * by the columns that the statement names; failing that by the session's
 * release; failing that a side that is certainly given wins over one in doubt,
 * and the new side over the old.
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

/* Runs a rule if one of its sides is given; returns false if none is. */
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

	/*
	 * if only some new columns of an unfilled row are written, up gives the
	 * rest
	 */
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

/* Runs each rule that can be reached from a given column, once. */
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
 * Handles an INSERT that gives none of a rule's columns, from a release that
 * knows the new columns: their defaults are taken as given.  Go from the last
 * rule of a chain to the first, since its columns are the newest that the
 * release knows.
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
		else
			keep_note(state, rule);
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
		{
			keep_note(state, rule);
			continue;
		}
		if (!dual_write_forward(state, rule))
			quarantined++;
	}
	return quarantined;
}
