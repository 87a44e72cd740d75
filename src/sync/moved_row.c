/*
 * moved_row.c
 *		Rows that an UPDATE moves from one partition to another.
 *
 * One row is noted at a time, in a context of its own: between the two firings
 * of the trigger the executor handles no other row of the statement.
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/compat.h"
#include "sync/moved_row.h"
#include "utils/datum.h"
#include "utils/memutils.h"

static struct
{
	MemoryContext context;
	LocalTransactionId transaction;
	CommandId	command;
	int			rule;			/* id of the first rule, the same in all
								 * partitions of a table */
	int			ncolumns;
	Datum	   *values;			/* by index into RelationRules.columns */
	bool	   *nulls;
} noted;

static int
first_rule(const RowState *state)
{
	return state->rules->rules[0].source->id;
}

void
moved_row_note(const RowState *state, TupleTableSlot *row)
{
	MemoryContext caller;

	if (noted.context == NULL)
		noted.		context = AllocSetContextCreate(TopMemoryContext,
													"tandem moved row",
													ALLOCSET_SMALL_SIZES);

	MemoryContextReset(noted.context);
	caller = MemoryContextSwitchTo(noted.context);
	noted.		transaction = compat_local_transaction();
	noted.		command = GetCurrentCommandId(false);
	noted.		rule = first_rule(state);
	noted.		ncolumns = state->rules->ncolumns;
	noted.		values = palloc(sizeof(Datum) * noted.ncolumns);
	noted.		nulls = palloc(sizeof(bool) * noted.ncolumns);

	for (int i = 0; i < noted.ncolumns; i++)
	{
		RuleColumn *column = &state->rules->columns[i];

		noted.		values[i] = slot_getattr(row, column->attnum, &noted.nulls[i]);

		if (!noted.nulls[i])
			noted.		values[i] = datumCopy(noted.values[i], column->att->attbyval,
											  column->att->attlen);
	}
	MemoryContextSwitchTo(caller);
}

bool
moved_row_is_noted(const RowState *state, TupleTableSlot *row)
{
	if (noted.transaction != compat_local_transaction() ||
		noted.command != GetCurrentCommandId(false) ||
		noted.rule != first_rule(state) ||
		noted.ncolumns != state->rules->ncolumns)
		return false;
	for (int i = 0; i < noted.ncolumns; i++)
	{
		RuleColumn *column = &state->rules->columns[i];
		bool		isnull;
		Datum		value = slot_getattr(row, column->attnum, &isnull);

		if (!column_same_image(column, value, isnull, noted.values[i],
							   noted.nulls[i]))
			return false;
	}
	return true;
}
