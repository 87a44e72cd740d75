/*
 * round_trip.c
 *		Does down give back the old value that up was computed from?
 *
 * If it does not, the old value is lost as soon as the new side of the row is
 * written, and by a contract; no abort brings it back.
 */
#include "postgres.h"

#include "utils/datum.h"

#include "row/quarantine.h"
#include "row/round_trip.h"

bool
round_trip_is_known(const CompiledRule *rule)
{
	return rule->old_side.expressions != NULL && rule->new_side.ncolumns > 0 &&
		!rule->old_side.is_volatile && !rule->new_side.is_volatile;
}

/* Puts these values into the columns of a side, and their old values there. */
static void
exchange_side(RowState *state, const RuleSide *side, NullableDatum *values)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		int			attr = state->rules->columns[side->columns[i]].attnum - 1;
		NullableDatum value = values[i];

		if (side->expressions[i].id < 0)
			continue;
		values[i].value = state->row->tts_values[attr];
		values[i].isnull = state->row->tts_isnull[attr];
		state->row->tts_values[attr] = value.value;
		state->row->tts_isnull[attr] = value.isnull;
	}
}

typedef struct RoundTrip
{
	RowState   *state;
	CompiledRule *rule;
	RuleSide   *side;			/* to be compared with its expressions */
	NullableDatum *stored;		/* of the new side while the row has what up
								 * gives, else NULL */
	bool		holds;
} RoundTrip;

/*
 * Until end_round_trip the row has the new side that up gives.  stored lives as
 * long as the row, like the values in it.
 */
static void
begin_round_trip(RoundTrip *trip)
{
	RowState   *state = trip->state;
	RuleSide   *side = &trip->rule->new_side;
	NullableDatum *values = MemoryContextAlloc(state->econtext->ecxt_per_tuple_memory,
											   sizeof(NullableDatum) * side->ncolumns);

	row_compute_side(state, trip->rule, side, false);
	memcpy(values, state->computed, sizeof(NullableDatum) * side->ncolumns);
	exchange_side(state, side, values);
	trip->stored = values;
}

static void
end_round_trip(RoundTrip *trip)
{
	if (trip->stored)
		exchange_side(trip->state, &trip->rule->new_side, trip->stored);
	trip->stored = NULL;
}

static void
begin_round_trip_call(void *arg)
{
	begin_round_trip(arg);
}

static void
compare_side_call(void *arg)
{
	RoundTrip  *trip = arg;

	row_compute_side(trip->state, trip->rule, trip->side, false);
	trip->holds = row_side_is_computed(trip->state, trip->side);
}

/* Returns false if work fails, which counts only with guarded. */
static bool
try_on_row(RoundTrip *trip, void (*work) (void *), bool guarded)
{
	if (!guarded)
	{
		work(trip);
		return true;
	}
	if (quarantine_try(work, trip) == NULL)
		return true;
	row_forget_compiled(trip->state, &trip->rule->old_side);
	row_forget_compiled(trip->state, &trip->rule->new_side);
	return false;
}

bool
round_trip_loses(RowState *state, CompiledRule *rule, NewSide new_side,
				 bool guarded)
{
	RoundTrip	trip = {state, rule, &rule->old_side, NULL, false};

	if (new_side == NEW_SIDE_STORED &&
		!try_on_row(&trip, begin_round_trip_call, guarded))
		return false;
	(void) try_on_row(&trip, compare_side_call, guarded);
	end_round_trip(&trip);
	return !trip.holds;
}

char *
round_trip_describe(RowState *state, CompiledRule *rule)
{
	RoundTrip	trip = {state, rule, &rule->old_side, NULL, false};
	char	   *old = row_describe(state, &rule->old_side);
	char	   *new;

	begin_round_trip(&trip);
	new = row_describe(state, &rule->new_side);
	row_compute_side(state, rule, &rule->old_side, false);
	exchange_side(state, &rule->old_side, state->computed);
	return psprintf("Of %s up makes %s, and of that down makes %s.", old, new,
					row_describe(state, &rule->old_side));
}

bool
round_trip_side_holds(RowState *state, CompiledRule *rule, RuleSide *side,
					  bool guarded)
{
	RoundTrip	trip = {state, rule, side, NULL, false};

	if (!side->is_complete)
		return false;
	(void) try_on_row(&trip, compare_side_call, guarded);
	return trip.holds;
}

bool
round_trip_side_is_exact(const RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		const RuleColumn *column = &state->rules->columns[side->columns[i]];
		int			attr = column->attnum - 1;

		if (!state->computed[i].isnull &&
			!datum_image_eq(state->computed[i].value,
							state->row->tts_values[attr],
							column->att->attbyval, column->att->attlen))
			return false;
	}
	return true;
}
