/*
 * run_control.h
 *		How a migration is to be run.
 */
#ifndef TANDEM_RUN_CONTROL_H
#define TANDEM_RUN_CONTROL_H

#include "nodes/pg_list.h"

typedef struct RunControl
{
	bool		background;		/* a run in the background is wanted: a
								 * launcher starts it where it finds none */
	int			workers;
	Oid			run_as;			/* role whose rights it has; invalid: it is
								 * gone, or none was wanted yet */
	char	   *run_as_name;	/* also when it is gone; or NULL */
	char	   *paused_by;		/* or NULL */
	char	   *error;			/* why the last run ended, or NULL */
	char	   *hint;
	char	   *hold_function;	/* configured for it: a qualified name, or
								 * empty; NULL: none was */
	Oid			hold_by;		/* role that configured it; invalid: gone */
	char	   *hold_by_name;
	Oid			hold_owner;		/* role that owned the function then; invalid:
								 * gone */
	char	   *hold_path;		/* search_path of the session that did */
	List	   *names;			/* of other settings configured for it */
	List	   *values;
} RunControl;

#define HOLD_FUNCTION_SETTING "tandem.hold_function"

extern RunControl *run_control_get(int migration_id);

/* A run in the background is wanted from now on; forgets the last error. */
extern void run_control_want_background(int migration_id, int workers,
										Oid run_as);

/* No run in the background is wanted any more. */
extern void run_control_end_background(int migration_id);

extern void run_control_set_paused(int migration_id, Oid role);
extern void run_control_end_pause(int migration_id);

/* Notes why a run has ended, or what it tries to get over; NULL forgets it. */
extern void run_control_set_error(int migration_id, const char *error,
								  const char *hint);

/* A value for a setting, for this migration only; NULL takes it back. */
extern void run_control_configure(int migration_id, const char *name,
								  const char *value);

/*
 * The same of the hold function, a qualified name that the current user has
 * given, of a function that owner owns.
 */
extern void run_control_configure_hold(int migration_id, const char *function,
									   Oid owner, const char *search_path);

/*
 * Puts the settings into force until the end of the transaction, but for the
 * hold function: see fill/throttle_causes.h.
 */
extern void run_control_apply_settings(const RunControl *control);

/*
 * Ids of the migrations that want to run in the background, are not paused,
 * and that nobody runs, of those begun in this very cluster and database.
 */
extern List *run_control_orphans(void);

/*
 * The settings with which the session that wants a run in the background would
 * build an index: maintenance_work_mem in kB, and the most parallel workers.
 * They are kept for a launcher; memory is 0 where none are.
 */
extern void run_control_set_build(int migration_id, int memory, int workers);
extern void run_control_get_build(int migration_id, int *memory, int *workers);

#endif							/* TANDEM_RUN_CONTROL_H */
