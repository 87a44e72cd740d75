/*
 * arrived_row.c
 *		Rows that come from another region as its syncs have left them.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "replication/logicalworker.h"

#include "catalog/region_row.h"
#include "core/compat.h"
#include "row/arrived_row.h"

bool
arrived_row_is_whole(const CompiledRule *rule)
{
	return IsLogicalWorker() && region_sends_columns(rule->source->migration);
}

static bool
side_may_be_stored_apart(const RowState *state, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		Form_pg_attribute att = state->rules->columns[side->columns[i]].att;

		if (att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN)
			return true;
	}
	return false;
}

/*
 * An UPDATE does not send a value that it leaves as it was and that is stored apart
 * from its row.  Here such a column looks like NULL as long as the row is not filled;
 * there it holds what up made of the row before.
 */
static void
complete_side(RowState *state, const CompiledRule *rule)
{
	const RuleSide *side = &rule->new_side;

	row_compute_side(state, rule, side, true);
	for (int i = 0; i < side->ncolumns; i++)
	{
		Form_pg_attribute att = state->rules->columns[side->columns[i]].att;
		NullableDatum *value = &state->computed[i];

		/* what is shorter than a pointer to it stays in the row */
		if (att->attlen == -1 && side->expressions[i].id >= 0 && !value->isnull &&
			(VARATT_IS_EXTERNAL(DatumGetPointer(value->value)) ||
			 VARSIZE_ANY(DatumGetPointer(value->value)) > MAXALIGN(TOAST_POINTER_SIZE)))
			row_set(state, side->columns[i], value->value, false);
	}
}

bool
arrived_row_complete(RowState *state, const CompiledRule *rule)
{
	if (rule->source->quarantine || !arrived_row_is_whole(rule))
		return false;
	if (state->before && side_may_be_stored_apart(state, &rule->new_side))
		complete_side(state, rule);
	return true;
}
