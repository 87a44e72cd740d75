/*
 * run_control.h
 *		How a migration is to be run: the columns of tandem.migration that its
 *		runner looks at between two batches.
 */
#ifndef TANDEM_RUN_CONTROL_H
#define TANDEM_RUN_CONTROL_H

#include "nodes/pg_list.h"

typedef struct RunControl
{
	bool		background;		/* a run in the background is wanted: a
								 * launcher starts it where it finds none */
	int			workers;
	char	   *run_as;			/* role whose rights it has; NULL: none wanted
								 * yet */
	char	   *paused_by;		/* or NULL */
	char	   *error;			/* why the last run ended, or NULL */
	char	   *hint;
	List	   *names;			/* of settings configured for it */
	List	   *values;
} RunControl;

extern RunControl *run_control_get(int migration_id);

/* A run in the background is wanted from now on; forgets the last error. */
extern void run_control_want_background(int migration_id, int workers,
										const char *run_as);

/* No run in the background is wanted any more. */
extern void run_control_end_background(int migration_id);

/* user NULL: no longer paused. */
extern void run_control_set_paused(int migration_id, const char *user);

/* Notes why a run has ended, or what it tries to get over; NULL forgets it. */
extern void run_control_set_error(int migration_id, const char *error,
								  const char *hint);

/* A value for a setting, for this migration only; NULL takes it back. */
extern void run_control_configure(int migration_id, const char *name,
								  const char *value);

/* Puts the settings into force until the end of the transaction. */
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
