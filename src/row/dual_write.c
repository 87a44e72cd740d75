/*
 * dual_write.c
 *		Dual write: computes the other side of each rule for a row being
 *		written.
 */
#include "postgres.h"

#include "replication/logicalworker.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/run_control.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/text.h"
#include "row/arrived_row.h"
#include "row/dropped_column.h"
#include "row/dual_write.h"
#include "row/quarantine.h"
#include "rule/own_side.h"

/*-------------------------------------------------------------------------
 * Computing one side of a rule.
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

typedef struct SideCall
{
	RowState   *state;
	CompiledRule *rule;
	RuleSide   *side;
	bool		before;			/* of the row as it was before the UPDATE */
} SideCall;

static void
compute_side(void *arg)
{
	SideCall   *call = arg;

	row_compute_side(call->state, call->rule, call->side, call->before);
}

/* The same, but returns an error of up or down; NULL means success. */
static ErrorData *
compute_side_catching(SideCall *call)
{
	ErrorData  *error = quarantine_try(compute_side, call);

	if (error)
		row_forget_compiled(call->state, call->side);
	return error;
}

/*
 * Computes a side into state->computed.  If the rule quarantines rows, an
 * error in up or down is returned instead of being thrown.
 */
static inline ErrorData *
try_compute_side(RowState *state, CompiledRule *rule, RuleSide *side)
{
	if (rule->source->quarantine)
	{
		SideCall	call = {state, rule, side, false};

		return compute_side_catching(&call);
	}
	row_compute_side(state, rule, side, false);
	return NULL;
}

/*
 * Sets the columns of a side that have an expression, but for those in keep,
 * a set of indexes into the side's columns.  Returns false if the expression
 * failed and the row was put into quarantine; its columns are NULL then.
 */
static bool
set_side(RowState *state, CompiledRule *rule, RuleSide *side,
		 const Bitmapset *keep)
{
	ErrorData  *error;

	if (side->expressions == NULL)
		return true;
	error = try_compute_side(state, rule, side);
	if (error)
		quarantine_record(state, rule,
						  side == &rule->new_side ? "up" : "down", error);
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->expressions[i].id < 0 || (keep && bms_is_member(i, keep)))
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
	return set_side(state, rule, &rule->new_side, NULL);
}

bool
dual_write_backward(RowState *state, CompiledRule *rule)
{
	return set_side(state, rule, &rule->old_side, NULL);
}

/*
 * Does the side equal what its expressions compute?  *judged is set to false
 * if that cannot be told: a column has no expression, or one is volatile or
 * fails.
 */
static bool
side_agrees(RowState *state, CompiledRule *rule, RuleSide *side, bool *judged)
{
	*judged = side->is_complete && !side->is_volatile;
	if (!*judged)
		return false;
	if (try_compute_side(state, rule, side) != NULL)
	{
		*judged = false;
		return false;
	}
	return row_side_is_computed(state, side);
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
dual_write_concerns(RowState *state, TupleTableSlot *row,
					TupleTableSlot *before, int stored_natts)
{
	return row_note_given(state, row, before) || before == NULL ||
		row_needs_fill(state, before, stored_natts) ||
		any_rule_looks_quarantined(state, row);
}

static int
rule_index(const RowState *state, const CompiledRule *rule)
{
	return rule - state->rules->rules;
}

/*
 * Which side of a rule must be computed again, now that changed was set?  NULL
 * if none.  A side that the writer has given keeps what its sources say.
 */
static RuleSide *
side_that_follows(RowState *state, CompiledRule *rule, RuleSide *changed)
{
	RuleOutcome outcome = state->outcomes[rule_index(state, rule)];

	if (rule_sides_share_column(&rule->old_side, changed))
		return &rule->new_side;
	if (rule_sides_share_column(&rule->new_side, changed))
		return &rule->old_side;
	if (outcome == RULE_UP && rule_side_reads(&rule->new_side, changed))
		return &rule->new_side;
	if (outcome == RULE_DOWN && rule_side_reads(&rule->old_side, changed))
		return &rule->old_side;
	return NULL;
}

/*
 * Does the side already hold what it should, now that changed was set?  One
 * that was computed from a source is computed from it again, even if the other
 * expression says that the sides agree.
 */
static bool
agrees_with_changed_side(RowState *state, CompiledRule *rule, RuleSide *side,
						 const RuleSide *changed)
{
	bool		judged;

	if (rule_sides_share_column(&rule->old_side, changed) ||
		rule_sides_share_column(&rule->new_side, changed))
		return dual_write_agrees(state, rule);
	return side_agrees(state, rule, side, &judged);
}

/*
 * Rules that ran before may have used the old values of a side that was just
 * set.  Run those that now disagree again, then the rules that depend on what
 * these set.
 */
static void
follow_changed_side(RowState *state, CompiledRule *from, RuleSide *changed)
{
	RelationRules *rules = state->rules;

	for (int i = 0; changed->is_followed && i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];
		RuleOutcome *outcome = &state->outcomes[i];
		RuleSide   *target;

		if (rule == from || *outcome == RULE_PENDING)
			continue;
		target = side_that_follows(state, rule, changed);
		if (target == NULL ||
			agrees_with_changed_side(state, rule, target, changed))
			continue;
		if (rule->source->on_conflict == ON_CONFLICT_ERROR &&
			*outcome != (target == &rule->new_side ? RULE_UP : RULE_DOWN) &&
			row_side_given(state, target) == GIVEN_YES)
			raise_conflict(state, rule);
		*outcome = RULE_PENDING;	/* so that the recursion skips it */
		(void) set_side(state, rule, target, NULL);
		follow_changed_side(state, rule, target);
		*outcome = target == &rule->new_side ? RULE_UP : RULE_DOWN;
	}
}

/* Computes a side, and the rules that depend on it. */
static RuleOutcome
compute_and_follow(RowState *state, CompiledRule *rule, RuleSide *side,
				   const Bitmapset *keep)
{
	(void) set_side(state, rule, side, keep);
	/* no other rule can have used what was there before */
	if (side->is_followed && row_side_given(state, side) == GIVEN_YES)
		follow_changed_side(state, rule, side);
	return side == &rule->new_side ? RULE_UP : RULE_DOWN;
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
	if (error == NULL || (other->is_complete &&
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
 * another key, or lie elsewhere.  Where the other side does not tell who has put
 * the NULL there, the note of the row as it was does; a row that has moved
 * to another partition has its note there.  What the first trigger has left has a note
 * only if that one has made it.  A row without one may have taken the key of one that
 * has.
 */
static void
keep_note(RowState *state, CompiledRule *rule)
{
	if (!dual_write_looks_quarantined(state, rule, state->row))
		return;
	if (compiled_rule_tells_nulls(rule) ||
		(state->before == state->noted && !state->is_followed) ||
		quarantine_has_row(state, rule, state->is_followed ? state->row : state->before))
		(void) dual_write_is_quarantined(state, rule);
	else
		quarantine_forget(state, rule);
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

static RuleOutcome
settle_both_given(RowState *state, CompiledRule *rule)
{
	if (dual_write_agrees(state, rule) || keep_quarantined_row(state, rule))
		return RULE_KEPT;
	if (rule->source->on_conflict == ON_CONFLICT_ERROR)
		raise_conflict(state, rule);
	return compute_and_follow(state, rule,
							  rule->source->on_conflict == ON_CONFLICT_NEW
							  ? &rule->old_side : &rule->new_side, NULL);
}

/*
 * What the writer did to both sides.  In an INSERT a value beats a default that
 * is named, and that beats a column that is absent.  Where the statement
 * cannot be found, what may be a computed default is taken for one if the
 * other side has a value, and for a value otherwise, the new side first.
 */
static void
settle_sides(RowState *state, CompiledRule *rule, Given *old, Given *new)
{
	*old = row_side_given(state, &rule->old_side);
	*new = row_side_given(state, &rule->new_side);
	if (state->before || *old + *new == GIVEN_YES ||
		(*old == GIVEN_YES && *new == GIVEN_YES))
		return;
	row_settle_doubts(state);
	*old = row_side_given(state, &rule->old_side);
	*new = row_side_given(state, &rule->new_side);
	if (*old == GIVEN_DOUBT)
		*old = *new >= GIVEN_DOUBT ? GIVEN_ABSENT : GIVEN_YES;
	if (*new == GIVEN_DOUBT)
		*new = *old == GIVEN_YES ? GIVEN_ABSENT : GIVEN_YES;
}

/* The columns of a side, as indexes into it, that the writer gave. */
static Bitmapset *
given_of_side(RowState *state, const RuleSide *side)
{
	MemoryContext caller = MemoryContextSwitchTo(state->econtext->ecxt_per_tuple_memory);
	Bitmapset  *given = NULL;

	for (int i = 0; i < side->ncolumns; i++)
	{
		if (state->given[side->columns[i]] == GIVEN_YES)
			given = bms_add_member(given, i);
	}
	MemoryContextSwitchTo(caller);
	return given;
}

/*
 * If only some new columns of an unfilled row are written, up gives the rest.
 */
static void
complete_new_side(RowState *state, CompiledRule *rule)
{
	if (rule->new_side.ncolumns > 1 && state->before &&
		row_is_unfilled(state, rule))
		(void) set_side(state, rule, &rule->new_side,
						given_of_side(state, &rule->new_side));
}

/*-------------------------------------------------------------------------
 * Sources: columns that an expression reads, and that are on neither side.
 *-------------------------------------------------------------------------
 */

static bool
source_is_given(const RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->nsources; i++)
	{
		if (state->given[side->sources[i]] == GIVEN_YES)
			return true;
	}
	return false;
}

/*
 * Returns the columns of a side, as indexes into it, that hold values of their
 * own: not what the expression made of the row before, or, if it fails on
 * that, not NULL or the default.
 */
static Bitmapset *
values_of_their_own(RowState *state, CompiledRule *rule, RuleSide *side)
{
	SideCall	call = {state, rule, side, true};
	ErrorData  *error = compute_side_catching(&call);
	MemoryContext caller = MemoryContextSwitchTo(state->econtext->ecxt_per_tuple_memory);
	Bitmapset  *own = NULL;

	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->expressions[i].id >= 0 &&
			!(error ? row_column_is_default(state, side->columns[i])
			  : row_column_is_computed(state, side, i)))
			own = bms_add_member(own, i);
	}
	MemoryContextSwitchTo(caller);
	return own;
}

/*
 * An UPDATE of a filled row that gives neither side of a rule, but a source of
 * its expressions: the side that reads it follows.  That of the writer's own
 * release does not.
 */
static RuleOutcome
follow_sources(RowState *state, CompiledRule *rule)
{
	OwnSide		own = state->rules->own[rule_index(state, rule)];
	RuleSide   *side;
	Bitmapset  *keep;

	if (own != OWN_NEW && source_is_given(state, &rule->new_side))
		side = &rule->new_side;
	else if (own != OWN_OLD && rule->old_side.expressions &&
			 source_is_given(state, &rule->old_side))
		side = &rule->old_side;
	else
		return RULE_PENDING;
	if (state->before == NULL || row_is_unfilled(state, rule))
		return RULE_PENDING;
	/* its writer may be of the new release, whose own side does not follow */
	if (arrived_row_is_whole(rule))
		return RULE_KEPT;
	/* what a row that was never filled has there is the old release's */
	if (dropped_column_reads_unfilled(state, rule))
		return RULE_KEPT;
	keep = values_of_their_own(state, rule, side);
	if (bms_num_members(keep) == side->ncolumns)
		return RULE_KEPT;
	return compute_and_follow(state, rule, side, keep);
}

/*
 * Has a row of another server arrived whose sides agree, as its sync there has
 * left them?  Only the new one has changed, since the row was filled there and
 * not here.  down might give another value than what up was computed from.
 */
static bool
arrived_in_agreement(RowState *state, CompiledRule *rule)
{
	bool		judged;

	return IsLogicalWorker() && state->before &&
		(side_agrees(state, rule, &rule->old_side, &judged) ||
		 side_agrees(state, rule, &rule->new_side, &judged));
}

/*
 * Runs a rule if one of its sides, at least as strongly as that, or a source of
 * them is given.
 */
static RuleOutcome
run_rule(RowState *state, CompiledRule *rule, Given least)
{
	Given		old;
	Given		new;

	/* the default of the old column is that of both */
	if (rule->source->one_default && state->before == NULL &&
		dual_write_side_is_null(state, state->row, &rule->new_side))
		return compute_and_follow(state, rule, &rule->new_side, NULL);
	settle_sides(state, rule, &old, &new);
	if (old == GIVEN_ABSENT && new == GIVEN_ABSENT)
		return follow_sources(state, rule);
	if (Max(old, new) < least)
		return RULE_PENDING;
	if (new == GIVEN_YES)
		complete_new_side(state, rule);
	if (old == GIVEN_YES && new == GIVEN_YES)
		return settle_both_given(state, rule);
	if (new > old && arrived_in_agreement(state, rule))
		return RULE_KEPT;
	return compute_and_follow(state, rule,
							  new > old ? &rule->old_side : &rule->new_side,
							  NULL);
}

/*
 * Runs each rule that can be reached from a column that is given at least as
 * strongly as that, once.  pending is the number of rules that have not run;
 * returns how many are left.
 */
static int
follow_given_columns(RowState *state, Given least, int pending)
{
	RelationRules *rules = state->rules;
	int			before;

	do
	{
		before = pending;
		for (int i = 0; i < rules->nrules; i++)
		{
			if (state->outcomes[i] != RULE_PENDING)
				continue;
			state->outcomes[i] = run_rule(state, &rules->rules[i], least);
			if (state->outcomes[i] != RULE_PENDING)
				pending--;
		}
	} while (pending > 0 && pending < before);
	return pending;
}

/*
 * Rules that no given column leads to: their sources are followed, rows that
 * are unfilled are filled, and the notes of others kept.
 */
static void
run_rules_left(RowState *state)
{
	RelationRules *rules = state->rules;

	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		if (state->outcomes[i] != RULE_PENDING ||
			(state->before == NULL && dropped_column_is_left(state, rule)))
			continue;
		state->outcomes[i] = run_rule(state, rule, GIVEN_NAMED);
		if (state->outcomes[i] != RULE_PENDING)
			continue;
		if (state->before && !row_is_unfilled(state, rule))
			keep_note(state, rule);
		else if (arrived_row_complete(state, rule))
			state->outcomes[i] = RULE_KEPT;
		else
		{
			(void) dual_write_forward(state, rule);
			state->outcomes[i] = RULE_UP;
		}
	}
}

/*
 * Gives an inserted row the dropped columns that its writer says nothing of; all is
 * false: but for those that read what another rule has still to compute.  They count
 * as given then.  Returns how many rules are left.
 */
static int
give_dropped_columns(RowState *state, int pending, bool all)
{
	RelationRules *rules = state->rules;
	int			before = pending;

	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		if (state->outcomes[i] != RULE_PENDING ||
			!dropped_column_is_left(state, rule) ||
			(!all && dropped_column_waits(state, rule)))
			continue;
		state->outcomes[i] = compute_and_follow(state, rule, &rule->old_side, NULL);
		pending--;
	}
	return pending > 0 && pending < before
		? follow_given_columns(state, GIVEN_NAMED, pending) : pending;
}

/* Runs all rules; which columns are given is settled. */
static void
run_all_rules(RowState *state)
{
	int			pending = state->rules->nrules;

	memset(state->outcomes, 0, sizeof(RuleOutcome) * pending);
	pending = follow_given_columns(state, GIVEN_YES, pending);
	/* in a chain a value counts more than a default that is named elsewhere */
	if (pending > 0 && state->before == NULL)
	{
		pending = follow_given_columns(state, GIVEN_NAMED, pending);
		pending = give_dropped_columns(state, pending, false);
	}
	if (pending == 0)
		return;
	run_rules_left(state);
	if (state->before == NULL)
		(void) give_dropped_columns(state, pending, true);
}

/*-------------------------------------------------------------------------
 * The release of the writer.
 *-------------------------------------------------------------------------
 */

/*
 * An INSERT of a declared release means its own side, whatever it holds.  A
 * value that it gives elsewhere, to a column of a migration without a release,
 * counts more than a default here.
 */
static void
give_own_side(RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		Given	   *given = &state->given[side->columns[i]];

		if (!state->rules->foreign[side->columns[i]])
			*given = Max(*given, GIVEN_NAMED);
	}
}

/*
 * What a declared release writes to a column that is not its own does not
 * count.
 */
static void
heed_release_of_writer(RowState *state)
{
	RelationRules *rules = state->rules;
	int			release = rules->any_release ? row_writer_release(state) : 0;

	if (rules->release != release)
		relation_rules_settle(rules, release);
	if (release == 0)
		return;
	row_settle_doubts(state);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		if (rules->foreign[i] && state->given[i] != GIVEN_ABSENT)
			row_take_back(state, i);
	}
	for (int i = 0; state->before == NULL && i < rules->nrules; i++)
	{
		if (rules->own[i] != OWN_BOTH)
			give_own_side(state, rules->own[i] == OWN_NEW
						  ? &rules->rules[i].new_side
						  : &rules->rules[i].old_side);
	}
}

/*
 * A new column of an unfilled row that is computed from itself would be
 * computed from nothing.
 */
static void
check_not_computed_from_unfilled(RowState *state, CompiledRule *rule)
{
	for (int i = 0; i < rule->new_side.ncolumns; i++)
	{
		RuleColumn *column = &state->rules->columns[rule->new_side.columns[i]];

		if (writer_statement_computes_from_itself(row_writer(state),
												  column->attnum))
			ereport(ERROR,
					(errcode(ERRCODE_RELEASE_READ_ONLY),
					 errmsg("column \"%s\" of table \"%s\" is computed from itself in a row that is not filled yet",
							NameStr(column->att->attname),
							RelationGetRelationName(state->rel)),
					 errdetail("Migration \"%s\" has not filled the row.",
							   rule->source->migration),
					 errhint("Run %s; first.",
							 run_control_migrate_call(rule->source->migration))));
	}
}

void
dual_write_apply(RowState *state)
{
	RelationRules *rules = state->rules;

	/* a row that has moved here was checked where it came from */
	for (int i = 0; state->before && state->before != state->noted &&
		 i < rules->nrules; i++)
	{
		if (row_is_unfilled(state, &rules->rules[i]))
			check_not_computed_from_unfilled(state, &rules->rules[i]);
	}
	state->is_followed = false;
	row_settle_named(state);
	heed_release_of_writer(state);
	run_all_rules(state);
}

void
dual_write_follow(RowState *state)
{
	state->is_followed = true;
	relation_rules_settle(state->rules, 0);
	run_all_rules(state);
}

int
dual_write_fill(RowState *state, int forced)
{
	RelationRules *rules = state->rules;
	int			quarantined = 0;

	state->is_followed = false;
	relation_rules_settle(rules, 0);
	memset(state->given, 0, sizeof(Given) * rules->ncolumns);
	memset(state->outcomes, 0, sizeof(RuleOutcome) * rules->nrules);
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		if (row_side_given(state, &rule->old_side) == GIVEN_YES ||
			rule->source->id == forced || row_is_unfilled(state, rule))
		{
			if (!dual_write_forward(state, rule))
				quarantined++;
		}
		else if (follow_sources(state, rule) == RULE_PENDING)
			keep_note(state, rule);
	}
	return quarantined;
}
