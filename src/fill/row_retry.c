/*
 * row_retry.c
 *		Tries one row again that may be in quarantine.
 */
#include "postgres.h"

#include "fill/batch.h"
#include "fill/row_retry.h"
#include "row/dual_write.h"
#include "row/quarantine.h"
#include "row/row_tuple.h"

static RetriedSync *
find_retried_sync(const RowRetry *retry, int id, int *index)
{
	ListCell   *lc;

	foreach(lc, retry->syncs)
	{
		*index = foreach_current_index(lc);
		if (((RetriedSync *) lfirst(lc))->id == id)
			return lfirst(lc);
	}
	return NULL;
}

/* Is there a note of the stored row, under any shape of its key? */
static bool
row_has_note(RowRetry *retry, const RetriedSync *sync)
{
	Relation	rel = retry->state->rel;
	ListCell   *lc;

	foreach(lc, sync->shapes)
	{
		KeyShape   *shape = lfirst(lc);

		if (quarantine_has_key(sync->id, RelationGetRelid(rel),
							   row_columns_json_as(rel, retry->slot,
												   shape->columns,
												   shape->names)))
			return true;
	}
	return false;
}

/*
 * May the NULL of the side be one that quarantine has left?  Where there are both
 * sides, and a down, sides that disagree tell it: a writer who puts a NULL into the new
 * side sets the old side by it.  Else only the row's note does.
 */
static bool
null_may_be_of_quarantine(RowRetry *retry, CompiledRule *rule)
{
	RetriedSync *sync;
	int			index;

	if (compiled_rule_tells_nulls(rule))
		return true;
	sync = find_retried_sync(retry, rule->source->id, &index);
	if (sync == NULL)
		return false;
	if (row_has_note(retry, sync))
		return true;
	retry->doubtful[index] |= dual_write_raises(retry->state, rule) ||
		!dual_write_agrees(retry->state, rule);
	return false;
}

/* Returns false if the row is right. */
static bool
retry_up(RowRetry *retry, CompiledRule *rule)
{
	if (rule->old_side.is_complete &&
		dual_write_agrees(retry->state, rule))
		return false;
	if (!retry->update->sent)
		fill_check_repeatable(retry->state, rule->source->id);
	(void) dual_write_fill(retry->state, rule->source->id);
	return true;
}

static bool
retry_down(RowRetry *retry, CompiledRule *rule)
{
	return !dual_write_agrees(retry->state, rule) &&
		dual_write_backward(retry->state, rule);
}

/*
 * Tries the side of a rule that is NULL, and notes the row if its expression
 * fails still.
 */
static void
retry_rule(RowRetry *retry, int index, bool up)
{
	RowState   *state = retry->state;
	CompiledRule *rule = &state->rules->rules[index];

	if (strcmp(rule->source->migration, retry->migration) != 0 ||
		!dual_write_looks_quarantined(state, rule, state->row) ||
		up != dual_write_side_is_null(state, state->row, &rule->new_side) ||
		!null_may_be_of_quarantine(retry, rule) ||
		dual_write_is_quarantined(state, rule))
		return;
	if (up ? retry_up(retry, rule) : retry_down(retry, rule))
		retry->computed[index] = up ? "up" : "down";
}

/* Along a chain of rules, down goes from its end and up from its beginning. */
static void
retry_rules(RowRetry *retry)
{
	int			nrules = retry->state->rules->nrules;

	memset(retry->computed, 0, sizeof(char *) * nrules);
	row_state_load(retry->state, retry->slot, retry->slot,
				   stored_columns(retry->slot));
	for (int i = nrules - 1; i >= 0; i--)
		retry_rule(retry, i, false);
	for (int i = 0; i < nrules; i++)
		retry_rule(retry, i, true);
}

/* The row could be filled, and cannot be written: its note has to stay. */
static void
note_locked_row(RowRetry *retry)
{
	RowState   *state = retry->state;
	ErrorData	locked = {
		.sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE,
		.message = "the row was locked by another session when it was tried again"
	};

	/* its key is that of the stored row */
	row_state_load(state, retry->slot, retry->slot, stored_columns(retry->slot));
	for (int i = 0; i < state->rules->nrules; i++)
	{
		if (retry->computed[i])
			quarantine_record(state, &state->rules->rules[i],
							  retry->computed[i], &locked);
	}
}

bool
row_retry_concerns(RowRetry *retry, TupleTableSlot *slot)
{
	RelationRules *rules = retry->state->rules;

	slot_getsomeattrs(slot, rules->last_column);
	for (int i = 0; i < rules->nrules; i++)
	{
		if (dual_write_looks_quarantined(retry->state, &rules->rules[i], slot))
			return true;
	}
	return false;
}

void
row_retry(RowRetry *retry, TupleTableSlot *slot)
{
	retry->slot = slot;
	retry_rules(retry);
	if (retry->state->first_replaced == InvalidAttrNumber)
		return;
	/* DIRECT_GONE: the writer's trigger has looked at the row */
	if (retry->only_notes ||
		direct_update_row(retry->update, slot,
						  retry->state->row) == DIRECT_LOCKED)
		note_locked_row(retry);
}

void
row_retry_begin(RowRetry *retry, RowState *state, const char *migration,
				List *syncs, bool only_notes)
{
	memset(retry, 0, sizeof(RowRetry));
	retry->state = state;
	retry->migration = migration;
	retry->syncs = syncs;
	retry->only_notes = only_notes;
	retry->update = direct_update_begin(state->rel, batch_columns(state->rules));
	retry->computed = palloc0(sizeof(char *) * state->rules->nrules);
	retry->doubtful = palloc0(sizeof(bool) * (list_length(syncs) + 1));
}

void
row_retry_end(RowRetry *retry)
{
	direct_update_end(retry->update);
}
