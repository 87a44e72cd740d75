/*
 * trigger.c
 *		tandem.sync_row(), the BEFORE INSERT OR UPDATE row trigger, and
 *		tandem.sync_row_first(), which runs before other triggers of a table.
 *
 * The rules are the trigger's arguments (rule_args.h).  The state is kept in
 * fn_extra of the trigger function, which lives as long as the statement.  A
 * row to which no rule applies is returned unchanged.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/memutils.h"

#include "core/sql_function.h"
#include "row/dual_write.h"
#include "row/key_lock.h"
#include "row/noted_row.h"
#include "row/quarantine.h"
#include "row/row_movement.h"
#include "row/row_tuple.h"

SQL_FUNCTION(tandem_sync_row);
SQL_FUNCTION(tandem_sync_row_first);

static void
check_trigger_call(FunctionCallInfo fcinfo, const char *function)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.%s() can only be called as a trigger",
						function),
				 errhint("Let tandem.sync_column create the trigger.")));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event) ||
		!(TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.%s() must be fired BEFORE INSERT OR UPDATE, FOR EACH ROW",
						function),
				 errhint("Let tandem.sync_column create the trigger.")));
}

/* Called once per statement, within which the release cannot change. */
static void
settle_writer_mark(RowState *state)
{
	RelationRules *rules = state->rules;
	TableRules *table = state->table;
	int			release = row_declared_release(state);
	List	   *syncs = NIL;

	if (writer_is_settled(&table->writer, release))
		return;
	for (int i = 0; i < rules->nrules; i++)
		syncs = lappend(syncs, rules->rules[i].source);
	writer_settle(&table->writer, release, table->relid, syncs);
}

/*
 * Called for the first row of a statement; fn_extra belongs to one trigger.
 * trigger is the one that has the rules.
 */
static RowState *
begin_trigger_statement(FunctionCallInfo fcinfo, const Trigger *trigger)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	MemoryContext caller;

	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = row_state_create(data->tg_relation, trigger);
	MemoryContextSwitchTo(caller);
	((RowState *) fcinfo->flinfo->fn_extra)->call = fcinfo->flinfo;
	settle_writer_mark(fcinfo->flinfo->fn_extra);
	return fcinfo->flinfo->fn_extra;
}

/*
 * Where the other side does not tell who has put a NULL into one, the note of a
 * row does.  The NULL that a writer has given now is none of quarantine, even
 * if an earlier version, or another row that had the key, has a note.
 */
static bool
null_is_of_writer(const RowState *state, int index)
{
	const CompiledRule *rule = &state->rules->rules[index];
	bool		has_new = rule_has_new_side(rule->source);

	return !compiled_rule_tells_nulls(rule) &&
		state->outcomes[index] == (has_new ? RULE_DOWN : RULE_UP) &&
		dual_write_side_is_null(state, state->row,
								has_new ? &rule->new_side : &rule->old_side);
}

/* No expression has left a NULL in the row, and one may have in that before. */
static bool
has_been_repaired(const RowState *state, int index)
{
	const CompiledRule *rule = &state->rules->rules[index];

	/* a row that has moved here has its note where it came from */
	return state->before && state->before != state->noted &&
		dual_write_looks_quarantined(state, rule, state->before) &&
		!dual_write_looks_quarantined(state, rule, state->row);
}

static void
forget_notes_of_former_rows(RowState *state)
{
	for (int i = 0; i < state->rules->nrules; i++)
	{
		CompiledRule *rule = &state->rules->rules[i];

		if (rule->source->quarantine &&
			(null_is_of_writer(state, i) || has_been_repaired(state, i)))
			quarantine_forget(state, rule);
	}
}

/*
 * What the writer has written is followed; undone if another trigger has put the
 * stored row in its place.  Returns the tuple to be stored in place of the one
 * that was written.
 */
static HeapTuple
follow_writer(RowState *state, const TriggerData *data, bool undone)
{
	HeapTuple	tuple = data->tg_trigtuple;
	TupleTableSlot *row = data->tg_trigslot;
	TupleTableSlot *before;
	int			stored_natts = 0;

	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		before = row;
		stored_natts = HeapTupleHeaderGetNatts(tuple->t_data);
		tuple = data->tg_newtuple;
		if (!undone)
			row = data->tg_newslot;
	}
	else if ((before = row_movement_before(state)) != NULL)
		stored_natts = ROW_SETTLED;
	if (!dual_write_concerns(state, row, before, stored_natts))
		return tuple;
	row_state_load(state, row, before, stored_natts);
	dual_write_apply(state);
	forget_notes_of_former_rows(state);
	return state->first_replaced ? row_tuple(state, tuple) : tuple;
}

/*
 * The first trigger has followed the writer already: what the triggers between
 * have written since is followed, as an UPDATE that declares no release.
 */
static HeapTuple
follow_other_triggers(RowState *state, const TriggerData *data,
					  TupleTableSlot *before)
{
	bool		update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	HeapTuple	tuple = update ? data->tg_newtuple : data->tg_trigtuple;
	TupleTableSlot *row = update ? data->tg_newslot : data->tg_trigslot;

	if (!row_note_given(state, row, before))
		return tuple;
	/* a trigger that returns OLD, which may be unfilled, undoes the writing */
	if (update && row_is_stored_row(state, row, data->tg_trigslot,
									HeapTupleHeaderGetNatts(data->tg_trigtuple->t_data)))
		return follow_writer(state, data, true);
	(void) row_note_given(state, row, before);
	row_state_load(state, row, before, ROW_SETTLED);
	dual_write_follow(state);
	return state->first_replaced ? row_tuple(state, tuple) : tuple;
}

Datum
tandem_sync_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	RowState   *state = fcinfo->flinfo->fn_extra;
	NotedRow   *noted;
	TupleTableSlot *before = NULL;
	HeapTuple	tuple;

	if (state == NULL)
	{
		check_trigger_call(fcinfo, "sync_row");
		state = begin_trigger_statement(fcinfo, data->tg_trigger);
	}
	noted = noted_row_find(state, NOTED_FOR_LAST);
	if (noted)
		before = noted_row_take(state, noted);
	tuple = before ? follow_other_triggers(state, data, before)
		: follow_writer(state, data, false);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		row_movement_note(state, &data->tg_trigtuple->t_self, tuple);
	key_lock_take(state, tuple,
				  TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigslot : NULL);
	return PointerGetDatum(tuple);
}

/*
 * The first trigger of a table with other BEFORE triggers, so that these see
 * both sides right.  The rules are those of the last one; without it, or while
 * it is disabled and nothing is in sync, there is nothing to do.
 */
Datum
tandem_sync_row_first(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	RowState   *state = fcinfo->flinfo->fn_extra;
	HeapTuple	tuple;

	if (state == NULL)
	{
		Trigger    *last;

		check_trigger_call(fcinfo, "sync_row_first");
		last = relation_sync_trigger(data->tg_relation);
		if (last == NULL || last->tgenabled == TRIGGER_DISABLED)
			return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event)
								   ? data->tg_newtuple : data->tg_trigtuple);
		state = begin_trigger_statement(fcinfo, last);
	}
	tuple = follow_writer(state, data, false);
	noted_row_set(state, NOTED_FOR_LAST, NULL, tuple);
	return PointerGetDatum(tuple);
}
