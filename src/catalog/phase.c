/*
 * phase.c
 *		The phases of a migration and what may be done in each: one table.
 */
#include "postgres.h"

#include "catalog/phase.h"
#include "core/text.h"

static const char *const phase_names[] = {
	[PHASE_EXPAND] = "expand",
	[PHASE_MIGRATE] = "migrate",
	[PHASE_CONTRACT] = "contract",
	[PHASE_DONE] = "done",
	[PHASE_ABORTED] = "aborted",
};

static const char *const action_names[] = {
	[ACTION_EXPAND] = "expand",
	[ACTION_MIGRATE] = "migrate",
	[ACTION_FINISH] = "finish",
	[ACTION_VERIFY] = "verify",
	[ACTION_CONTROL] = "control of its run",
	[ACTION_CONTRACT] = "contract",
	[ACTION_FORCE] = "force contract",
	[ACTION_ABORT] = "abort",
};

static const struct
{
	Phase		before;
	PhaseAction action;
	Phase		after;
}			transitions[] = {
	{PHASE_EXPAND, ACTION_EXPAND, PHASE_EXPAND},
	{PHASE_EXPAND, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_MIGRATE, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_MIGRATE, ACTION_FINISH, PHASE_CONTRACT},
	/* to fill a partition attached since, or verify again */
	{PHASE_CONTRACT, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_CONTRACT, PHASE_DONE},
	{PHASE_CONTRACT, ACTION_FORCE, PHASE_DONE},
	{PHASE_MIGRATE, ACTION_FORCE, PHASE_DONE},
	{PHASE_EXPAND, ACTION_VERIFY, PHASE_EXPAND},
	{PHASE_MIGRATE, ACTION_VERIFY, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_VERIFY, PHASE_CONTRACT},
	{PHASE_EXPAND, ACTION_CONTROL, PHASE_EXPAND},
	{PHASE_MIGRATE, ACTION_CONTROL, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_CONTROL, PHASE_CONTRACT},
	{PHASE_EXPAND, ACTION_ABORT, PHASE_ABORTED},
	{PHASE_MIGRATE, ACTION_ABORT, PHASE_ABORTED},
	{PHASE_CONTRACT, ACTION_ABORT, PHASE_ABORTED},
};

const char *
phase_name(Phase phase)
{
	return phase_names[phase];
}

const char *
action_name(PhaseAction action)
{
	return action_names[action];
}

Phase
phase_from_name(const char *name)
{
	int			index = text_index(name, phase_names, lengthof(phase_names));

	if (index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown phase \"%s\" in tandem.migration", name)));
	return (Phase) index;
}

bool
phase_after(Phase phase, PhaseAction action, Phase *after)
{
	for (int i = 0; i < (int) lengthof(transitions); i++)
	{
		if (transitions[i].before == phase && transitions[i].action == action)
		{
			*after = transitions[i].after;
			return true;
		}
	}
	return false;
}

const char *
phase_next_command(Phase phase)
{
	switch (phase)
	{
		case PHASE_EXPAND:
		case PHASE_MIGRATE:
			return "CALL tandem.migrate(%s);";
		case PHASE_CONTRACT:
			return "CALL tandem.contract(%s);";
		case PHASE_DONE:
		case PHASE_ABORTED:
			break;
	}
	return "SELECT tandem.create_migration('another name'); to begin another change.";
}
