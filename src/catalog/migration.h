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

typedef struct Migration
{
	int			id;
	char	   *name;
	int			release;		/* 0: not given */
	Phase		phase;
	char	   *comment;		/* or NULL */
	Oid			creator;		/* role that created it; invalid: it is gone */
	char	   *created_by;		/* its name, also when it is gone */
	bool		forgotten;		/* what a script run again is compared with is
								 * gone */
	LOCKTAG		runner;			/* while this session runs it */
} Migration;

/*
 * Adds a migration in phase expand.  Where it is there already, and not
 * aborted, nothing changes and a NOTICE says so; *created tells.  Whether the
 * release may be begun is for the caller to check.  Errors: it is there with
 * another release or comment, or another role's; another session is creating it,
 * and does not end within tandem.lock_retry_time; the name is empty.
 */
extern Migration *migration_create(const char *name, int release,
								   const char *comment, bool *created);

/*
 * The migration of that name: the live one, else the last.  Errors: none, or
 * the current user may not act on it (see migration_rights.h).
 */
extern Migration *migration_get(const char *name);

/* The one with that id, or NULL; for our own processes: checks no rights. */
extern Migration *migration_by_id(int id);

/*
 * The same as migration_get, locked against every other change of it until the end of the
 * transaction.  A second caller waits for tandem.lock_retry_time, then gets an
 * error.
 */
extern Migration *migration_get_for_change(const char *name);

/* The same, also for the owner of the database. */
extern Migration *migration_get_for_abort(const char *name);

/*
 * Removes what a migration that ends has kept of rows: samples, errors, keys in
 * quarantine.
 */
extern void migration_forget_rows(int migration_id);

/* Errors, with the next command, unless the phase allows the action. */
extern void migration_check(const Migration *migration, PhaseAction action);

/*
 * Does the action: the phase changes as the table of migration.c says and
 * tandem.history gets a line.  started
 * is of clock_now, or CLOCK_NEVER where how long it took means nothing.
 */
extern void migration_act(Migration *migration, PhaseAction action,
						  const char *detail, int64 started);

/* A line of tandem.history without a change of phase. */
extern void migration_record(const Migration *migration, const char *action,
							 const char *detail, int64 started);

/*
 * Asked at each DDL command of the database, so it is a look into an index and
 * no query.  Also false where the extension is on its way in or out.
 */
extern bool open_migration_exists(void);

#endif							/* TANDEM_MIGRATION_H */
