/*
 * run_control.h
 *		The settings and state of a migration's run in tandem.migration.
 */
#ifndef TANDEM_RUN_CONTROL_H
#define TANDEM_RUN_CONTROL_H

#include "nodes/pg_list.h"

typedef struct RunControl
{
	bool		background;		/* a background run is wanted: a launcher
								 * starts it if there is none */
	int			workers;
	Oid			run_as;			/* role it runs as; InvalidOid if dropped, or
								 * if none was wanted yet */
	char	   *run_as_name;	/* its name, even if it was dropped; or NULL */
	char	   *paused_by;		/* or NULL */
	char	   *error;			/* error of the last run, or NULL */
	char	   *hint;
	char	   *hold_function;	/* configured for the migration: a qualified
								 * name or ""; NULL if not configured */
	Oid			hold_by;		/* role that configured it; InvalidOid if
								 * dropped */
	char	   *hold_by_name;
	Oid			hold_owner;		/* owner of the function at that time;
								 * InvalidOid if dropped */
	char	   *hold_path;		/* search_path of the session that configured
								 * it */
	List	   *names;			/* names of the other configured settings */
	List	   *values;
} RunControl;

#define HOLD_FUNCTION_SETTING "tandem.hold_function"

/* Reads the settings and state of a migration's run, palloc'd. */
extern RunControl *run_control_get(int migration_id);

/* Records that a background run is wanted, and deletes the last error. */
extern void run_control_want_background(int migration_id, int workers,
										Oid run_as);

/* Records that no background run is wanted any more. */
extern void run_control_end_background(int migration_id);

/* Record that role has paused the migration, or that the pause has ended. */
extern void run_control_set_paused(int migration_id, Oid role);
extern void run_control_end_pause(int migration_id);

/*
 * Returns the statements that have an open migration filled, palloc'd, for a hint:
 * CALL tandem.migrate, and while it is paused what resumes it first.  There is no
 * semicolon after the last.
 */
extern char *run_control_migrate_call(const char *migration);

/*
 * Records why a run has ended, or the error that it is retrying; NULL deletes
 * it.
 */
extern void run_control_set_error(int migration_id, const char *error,
								  const char *hint);

/* Sets a setting for the runs of this migration only; NULL removes it. */
extern void run_control_configure(int migration_id, const char *name,
								  const char *value);

/*
 * The same for the hold function: a qualified name given by the current user,
 * of a function owned by owner.
 */
extern void run_control_configure_hold(int migration_id, const char *function,
									   Oid owner, const char *search_path);

/*
 * Applies the settings until the end of the transaction, except for the hold
 * function: see fill/throttle_causes.h.
 */
extern void run_control_apply_settings(const RunControl *control);

/*
 * Returns the ids of migrations, started in this cluster and database, that
 * are wanted in the background, are not paused, and that no process runs.
 */
extern List *run_control_orphans(void);

/*
 * The settings with which the session that wants a background run would build
 * an index: maintenance_work_mem in kB, and the maximum number of parallel
 * workers.  They are stored for a launcher; memory is 0 if there are none.
 */
extern void run_control_set_build(int migration_id, int memory, int workers);
extern void run_control_get_build(int migration_id, int *memory, int *workers);

#endif							/* TANDEM_RUN_CONTROL_H */
