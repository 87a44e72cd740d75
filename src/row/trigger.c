/*
 * trigger.c
 *		tandem.sync_row(), the BEFORE INSERT OR UPDATE row trigger.
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
#include "row/row_movement.h"
#include "row/row_tuple.h"

SQL_FUNCTION(tandem_sync_row);

static void
check_trigger_call(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.sync_row() can only be called as a trigger"),
				 errhint("Let tandem.sync_column create the trigger.")));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event) ||
		!(TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.sync_row() must be fired BEFORE INSERT OR UPDATE, FOR EACH ROW"),
				 errhint("Let tandem.sync_column create the trigger.")));
}

/* Called once per statement: the declared release cannot change within one. */
static void
settle_writer_mark(RelationRules *rules)
{
	List	   *syncs = NIL;

	if (writer_is_settled(&rules->writer))
		return;
	for (int i = 0; i < rules->nrules; i++)
		syncs = lappend(syncs, rules->rules[i].source);
	writer_settle(&rules->writer, rules->relid, syncs);
}

/* Called for the first row of a statement; fn_extra belongs to one trigger. */
static RowState *
begin_trigger_statement(FunctionCallInfo fcinfo)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	MemoryContext caller;

	check_trigger_call(fcinfo);
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = row_state_create(data->tg_relation,
												data->tg_trigger);
	MemoryContextSwitchTo(caller);
	settle_writer_mark(((RowState *) fcinfo->flinfo->fn_extra)->rules);
	return fcinfo->flinfo->fn_extra;
}

/* Returns the tuple to be stored in place of tuple. */
static HeapTuple
make_synced_tuple(RowState *state, HeapTuple tuple, TupleTableSlot *row,
				  TupleTableSlot *before, int stored_natts)
{
	if (!dual_write_concerns(state, row, before, stored_natts))
		return tuple;
	row_state_load(state, row, before, stored_natts);
	dual_write_apply(state);
	return state->first_replaced ? row_tuple(state, tuple) : tuple;
}

Datum
tandem_sync_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	RowState   *state = fcinfo->flinfo->fn_extra;
	TupleTableSlot *before;
	HeapTuple	tuple;

	if (state == NULL)
		state = begin_trigger_statement(fcinfo);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		tuple = make_synced_tuple(state, data->tg_newtuple, data->tg_newslot,
								  data->tg_trigslot,
								  HeapTupleHeaderGetNatts(data->tg_trigtuple->t_data));
		row_movement_note(state, &data->tg_trigtuple->t_self, tuple);
	}
	else
	{
		before = row_movement_before(state);
		tuple = make_synced_tuple(state, data->tg_trigtuple, data->tg_trigslot,
								  before, before ? state->rules->desc->natts : 0);
	}
	key_lock_take(state, tuple,
				  TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_trigslot : NULL);
	return PointerGetDatum(tuple);
}
