/*
 * migration.h
 *		Migrations and their phases.
 */
#ifndef TANDEM_MIGRATION_H
#define TANDEM_MIGRATION_H

#include "datatype/timestamp.h"
#include "storage/lock.h"

typedef enum Phase
{
	PHASE_EXPAND,				/* columns and syncs are being added */
	PHASE_MIGRATE,				/* rows are being filled and verified */
	PHASE_CONTRACT,				/* all steps are done; may be contracted */
	PHASE_DONE,
	PHASE_ABORTED
} Phase;

typedef enum PhaseAction
{
	ACTION_EXPAND,				/* add a column or a sync */
	ACTION_MIGRATE,				/* start or continue the steps */
	ACTION_REFILL,				/* have rows that disagree computed again */
	ACTION_FINISH,				/* the last step is done */
	ACTION_VERIFY,				/* in any phase before the end */
	ACTION_CONTROL,				/* pause, resume, cancel, configure: in any
								 * phase before the end */
	ACTION_CONTRACT,
	ACTION_FORCE,				/* contract in spite of open steps */
	ACTION_ABORT
} PhaseAction;

/* Returns the name of a phase as stored in tandem.migration, a constant. */
extern const char *phase_name(Phase phase);

typedef struct Migration
{
	int			id;
	char	   *name;
	int			release;		/* 0 if not given */
	Phase		phase;
	char	   *comment;		/* or NULL */
	Oid			creator;		/* role that created it; InvalidOid if dropped */
	char	   *created_by;		/* its name, even if it was dropped */
	bool		forgotten;		/* the records that a repeated script is
								 * compared with were deleted */
	LOCKTAG		runner;			/* valid while this session runs it */
	LOCKTAG		start;			/* valid while it starts it */
} Migration;

/*
 * Adds a migration in phase expand.  If it exists already and was not aborted,
 * nothing changes and a NOTICE says so; *created tells which.  The caller
 * checks whether the release may be started.  Errors: the migration exists
 * with another release or comment, or was created by another role; another
 * session is creating it, and does not end within tandem.lock_retry_time; the
 * name is empty.
 */
extern Migration *migration_create(const char *name, int release,
								   const char *comment, bool *created);

/*
 * Returns the migration with that name: the open one, else the last.  Errors:
 * there is none; the current user may not act on it (see migration_rights.h).
 */
extern Migration *migration_get(const char *name);

/*
 * Returns the migration with that id, or NULL.  For our own processes: it
 * checks no rights.
 */
extern Migration *migration_by_id(int id);

/*
 * Like migration_get, and locks the migration against all changes by others
 * until the end of the transaction.  Errors: those of migration_get; the lock
 * is not granted within tandem.lock_retry_time.
 */
extern Migration *migration_get_for_change(const char *name);

/* The same, and also allowed for the owner of the database. */
extern Migration *migration_get_for_abort(const char *name);

/*
 * Returns the name of the open migration of the latest release after this one,
 * palloc'd, or NULL.
 */
extern char *migration_open_after(int release);

/*
 * Deletes what the migration, which is ending, has recorded about rows:
 * samples, errors, keys in quarantine.
 */
extern void migration_forget_rows(int migration_id);

/*
 * Throws an error, with the next command, unless the phase allows the action.
 */
extern void migration_check(const Migration *migration, PhaseAction action);

/*
 * Is it in the phase, done or aborted?  Then it also says so in a NOTICE, for a
 * call that is repeated.
 */
extern bool migration_has_ended(const Migration *migration, Phase phase);

/*
 * Does the action: changes the phase according to the table in migration.c and
 * adds a row to tandem.history.  started is a clock_now() value, or
 * CLOCK_NEVER if the duration is of no interest.
 */
extern void migration_act(Migration *migration, PhaseAction action,
						  const char *detail, int64 started);

/* Adds a row to tandem.history without changing the phase. */
extern void migration_record(const Migration *migration, const char *action,
							 const char *detail, int64 started);

/*
 * Has migrate something to fill, build or prove for the migration?  Not for one
 * that only renames and drops: contract may follow on expand then.
 */
extern bool migration_is_to_be_migrated(int migration_id);

/*
 * The same, as noted for its release, which is ready from then on: whether it is
 * filled, or need not be.  before: as it was before this transaction.
 */
extern bool migration_is_filled(int migration_id, bool before);
extern void migration_note_filled(int migration_id, bool filled);

/*
 * Is any migration open?  Called for each DDL command of the database, so it
 * does one index lookup and no query.  Returns false, too, while the extension
 * is being created or dropped.
 */
extern bool open_migration_exists(void);

#endif							/* TANDEM_MIGRATION_H */
