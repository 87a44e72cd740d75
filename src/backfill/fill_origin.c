/*
 * fill_origin.c
 *		Which subscribers a fill is sent to.
 *
 * A fill writes whole rows.  Sent to a server that writes the same table it
 * would be applied over what a writer has committed there meanwhile; and that
 * server fills its own rows.  So it is marked, each change in the WAL, with the
 * origin that the server keeps for what is not to be replicated: a subscription
 * with origin = none is not sent it, any other one is.  That takes no
 * replication origin in the catalogs, no slot and no right.  The commit is
 * left without a mark, so what else the transaction writes is sent.
 */
#include "postgres.h"

#include "replication/origin.h"

#include "backfill/fill_origin.h"
#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/settings.h"

bool
fill_is_sent(Oid relid)
{
	switch (setting_send_fill)
	{
		case SEND_FILL_ON:
			return true;
		case SEND_FILL_OFF:
			return false;
	}
	return !subscription_of(relid).local_only;
}

uint16
fill_origin_enter(void)
{
	uint16		before = compat_session_origin();

	/* a session that has an origin of its own writes nothing as local anyway */
	if (before == 0)
		compat_set_session_origin(DoNotReplicateId);
	return before;
}

void
fill_origin_leave(uint16 before)
{
	compat_set_session_origin(before);
}

void
fill_refuse_volatile(Relation rel, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("up of column \"%s\" of table \"%s\" is volatile: each server would fill it with another value",
					column, RelationGetRelationName(rel)),
			 errdetail("The table has a subscription with origin = none, or tandem.send_fill is off: so its fill is not sent, and each server fills its own rows."),
			 errhint("Declare the function STABLE if its result depends on its arguments and on tables only. Otherwise have one server fill and send: SET tandem.send_fill = on; before sync_column, tandem.configure(..., 'tandem.send_fill', 'on') before migrate, which is then called on one server after the other.")));
}

void
fill_check_repeatable(const RowState *state, int forced)
{
	RelationRules *rules = state->rules;

	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];
		RuleSide   *side = &rule->new_side;

		if (side->is_volatile && (rule->source->id == forced ||
								  row_is_unfilled(state, rule)))
			fill_refuse_volatile(state->rel,
								 NameStr(rules->columns[side->columns[0]].att->attname));
	}
}
