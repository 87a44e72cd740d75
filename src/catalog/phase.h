/*
 * phase.h
 *		The phases of a migration and what may be done in each.
 */
#ifndef TANDEM_PHASE_H
#define TANDEM_PHASE_H

typedef enum Phase
{
	PHASE_EXPAND,				/* columns and syncs are being added */
	PHASE_MIGRATE,				/* rows are being filled and verified */
	PHASE_CONTRACT,				/* all steps done: ready to contract */
	PHASE_DONE,
	PHASE_ABORTED
} Phase;

typedef enum PhaseAction
{
	ACTION_EXPAND,				/* add a column or a sync */
	ACTION_MIGRATE,				/* start or go on with the steps */
	ACTION_FINISH,				/* the last step is done */
	ACTION_VERIFY,				/* any phase before the end */
	ACTION_CONTROL,				/* pause, resume, cancel, configure: likewise */
	ACTION_CONTRACT,
	ACTION_FORCE,				/* contract in spite of open steps */
	ACTION_ABORT
} PhaseAction;

extern const char *phase_name(Phase phase);
extern Phase phase_from_name(const char *name);
extern const char *action_name(PhaseAction action);

/* The phase after action, or false where the phase does not allow it. */
extern bool phase_after(Phase phase, PhaseAction action, Phase *after);

/* The command that leads on from phase, with %s for the migration's name. */
extern const char *phase_next_command(Phase phase);

#endif							/* TANDEM_PHASE_H */
