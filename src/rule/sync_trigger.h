/*
 * sync_trigger.h
 *		Looks up a table's sync trigger in pg_trigger.
 */
#ifndef TANDEM_SYNC_TRIGGER_H
#define TANDEM_SYNC_TRIGGER_H

#include "nodes/pg_list.h"

typedef struct SyncTriggerRow
{
	Oid			oid;
	TransactionId xmin;
	bool		intact;			/* fires as when the sync created it */
	char		enabled;		/* pg_trigger.tgenabled */
} SyncTriggerRow;

/* The BEFORE row triggers of a table. */
typedef struct TableTriggers
{
	bool		has_last;
	SyncTriggerRow last;		/* the sync trigger, if there is one */
	bool		has_first;
	SyncTriggerRow first;		/* the one that fires first, likewise */
	bool		has_other;		/* see other_trigger_exists */
	char	   *outside;		/* see trigger_outside_sync */
} TableTriggers;

/* Reads all of them in one scan, without a lock on the table. */
extern void table_triggers_read(Oid relid, TableTriggers *triggers);

/*
 * Reads the row of relid's sync trigger, without a lock on the table.  Returns
 * false if there is none.
 */
extern bool sync_trigger_row(Oid relid, SyncTriggerRow *row);

/* The same for the trigger that fires first. */
extern bool first_trigger_row(Oid relid, SyncTriggerRow *row);

/*
 * Does any table of the database have a sync trigger?  Called at each DDL
 * command, so it costs no more than one index lookup in a catalog.
 */
extern bool sync_trigger_exists(void);

/* Returns the OID of tandem.sync_row, or InvalidOid if it does not exist. */
extern Oid	sync_trigger_function(void);

/*
 * Returns the version of relid's sync trigger, palloc'd, or NULL if there is
 * none: cluster, database, and oid and xmin of its row in pg_trigger.  What
 * verify has proven holds while the trigger stays in force; disabling,
 * enabling, dropping or creating it writes a new row, which has another
 * version.
 */
extern char *sync_trigger_version(Oid relid);

/* Returns the version of a trigger with this oid and xmin. */
extern char *sync_trigger_version_of(Oid trigger, TransactionId xmin);

/*
 * Has relid a BEFORE row trigger other than those of the sync, for INSERT or
 * UPDATE?
 */
extern bool other_trigger_exists(Oid relid);

/*
 * Returns the name of such a trigger whose name sorts outside of those of the
 * sync, so that it fires before the first or after the last of them, palloc'd;
 * or NULL.
 */
extern char *trigger_outside_sync(Oid relid);

/*
 * Returns the table on which a trigger was created, following the triggers
 * that it is a clone of to the top, or InvalidOid if the trigger does not
 * exist.
 */
extern Oid	trigger_made_on(Oid trigger);

/*
 * Returns what pg_depend says that the trigger depends on, a list of
 * FormData_pg_depend *, palloc'd.
 */
extern List *trigger_dependencies(Oid trigger);

/* Is the function of the trigger tandem.sync_row? */
extern bool trigger_is_sync(Oid trigger);

#endif							/* TANDEM_SYNC_TRIGGER_H */
