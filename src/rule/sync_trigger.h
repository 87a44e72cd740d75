/*
 * sync_trigger.h
 *		The row of pg_trigger of a table's sync trigger.
 */
#ifndef TANDEM_SYNC_TRIGGER_H
#define TANDEM_SYNC_TRIGGER_H

typedef struct SyncTriggerRow
{
	Oid			oid;
	TransactionId xmin;
	bool		intact;			/* fires as the sync made it to */
	char		enabled;		/* pg_trigger.tgenabled */
} SyncTriggerRow;

/* Reads it, without a lock on the table; false: relid has no sync trigger. */
extern bool sync_trigger_row(Oid relid, SyncTriggerRow *row);

/*
 * Whether any table of the database has one.  Asked at each DDL command: a look
 * into an index of a catalog.
 */
extern bool sync_trigger_exists(void);

/* The function of such triggers; InvalidOid: there is none. */
extern Oid	sync_trigger_function(void);

/*
 * "oid:xmin" of the sync trigger, palloc'd, or NULL where there is none: the
 * version that a proof rests on.  verify proves a table right as long as its
 * trigger stays in force; whoever disables, enables, drops or makes the
 * trigger writes that row again, which shows as another version.
 */
extern char *sync_trigger_version(Oid relid);

/* The same of its two parts, which pg_trigger has. */
extern char *sync_trigger_version_of(Oid trigger, TransactionId xmin);

/* A BEFORE row trigger of relid that fires after the sync trigger, or NULL. */
extern char *trigger_after_sync(Oid relid);

/*
 * The table that a trigger was made on: that of the trigger which it is a clone
 * of, and so on to the top.  InvalidOid: there is no such trigger.
 */
extern Oid	trigger_made_on(Oid trigger);

/* Whether the function of a trigger is tandem.sync_row. */
extern bool trigger_is_sync(Oid trigger);

#endif							/* TANDEM_SYNC_TRIGGER_H */
