/*
 * trigger.c
 *		tandem.sync_row(), the BEFORE INSERT OR UPDATE row trigger.
 *
 * Its rules are its arguments (rule_args.h).  The state of a statement hangs
 * on the trigger function's lookup data, which the executor keeps as long as
 * the statement.  A row that needs nothing is returned as it came.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "core/sql_function.h"
#include "sync/dual_write.h"
#include "utils/memutils.h"

SQL_FUNCTION(tandem_sync_row);

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.sync_row() can only be called as a trigger"),
				 errhint("Let tandem.sync_column make the trigger.")));
	event = ((TriggerData *) fcinfo->context)->tg_event;
	if (!TRIGGER_FIRED_BEFORE(event) || !TRIGGER_FIRED_FOR_ROW(event) ||
		!(TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.sync_row() must be fired BEFORE INSERT OR UPDATE, FOR EACH ROW"),
				 errhint("Let tandem.sync_column make the trigger.")));
}

static RowState *
statement_state(FmgrInfo *flinfo, TriggerData *data)
{
	if (flinfo->fn_extra == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(flinfo->fn_mcxt);

		flinfo->fn_extra = row_state_create(data->tg_relation,
											data->tg_trigger);
		MemoryContextSwitchTo(caller);
	}
	return flinfo->fn_extra;
}

Datum
tandem_sync_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	RowState   *state;
	TupleTableSlot *row;
	TupleTableSlot *before = NULL;
	HeapTuple	tuple;
	int			stored_natts = 0;

	check_call(fcinfo);
	state = statement_state(fcinfo->flinfo, data);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		row = data->tg_newslot;
		before = data->tg_trigslot;
		tuple = data->tg_newtuple;
		stored_natts = HeapTupleHeaderGetNatts(data->tg_trigtuple->t_data);
	}
	else
	{
		row = data->tg_trigslot;
		tuple = data->tg_trigtuple;
	}

	if (!dual_write_concerns(state, row, before, stored_natts))
		return PointerGetDatum(tuple);
	row_state_load(state, row, before, stored_natts);
	dual_write_apply(state);
	if (state->changes > 0)
		tuple = heap_modify_tuple(tuple, RelationGetDescr(data->tg_relation),
								  state->row->tts_values,
								  state->row->tts_isnull, state->replaced);
	return PointerGetDatum(tuple);
}
