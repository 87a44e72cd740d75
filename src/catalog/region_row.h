/*
 * region_row.h
 *		tandem.region: the databases that send each other their rows.  Each
 *		writes its own row, which comes to the others in the order of its other
 *		changes.
 */
#ifndef TANDEM_REGION_ROW_H
#define TANDEM_REGION_ROW_H

#include "nodes/pg_list.h"

/*
 * Returns the name of the region that this database is, palloc'd, or NULL.  A
 * copy of the database has the row, but is no region.
 */
extern char *region_here(void);

/*
 * Locks the own row until the end of the transaction, so that nothing is sent of
 * it meanwhile.  Returns false if this database is no region.  Call before tables
 * are locked: waits for others up to lock_timeout.
 */
extern bool region_lock(void);

/*
 * Notes in the own row, if there is one, how far the database is.  Call in the
 * transaction that changes a phase, or which releases are served.
 */
extern void region_follow(void);

/*
 * The same, with how far the rows of the others have been seen; takes back an
 * announcement whose process is gone.  Returns false if this database is no
 * region, or its row is locked: what that transaction does has not been sent.
 */
extern bool region_beat(void);

typedef enum RegionAct
{
	REGION_SWITCH = 1,
	REGION_CONTRACT,
	REGION_ABORT,
	REGION_TAKE_KEYS,
	REGION_GIVE_KEYS_BACK
} RegionAct;

/* Returns what all regions are told of an act, palloc'd; name: of the migration. */
extern char *region_intent(RegionAct act, int release, const char *name);

/*
 * What is about to be done, for all regions.  region_announce is called in a
 * transaction of its own, while the caller of the act holds region_lock_intent or,
 * to contract, the runner lock of the migration; others see it once that has
 * committed.
 * migration_id is 0 for a switch.  region_announced returns the number of the own
 * row that the others must have seen, or 0 if the intent is not announced.
 * region_act_done takes it back in the transaction that acts, before region_follow.
 */
extern void region_announce(RegionAct act, int release, int migration_id);
extern int64 region_announced(const char *intent);
extern void region_act_done(void);

/*
 * Excludes another announcement until the end of the transaction.  Returns false
 * if there is one that has not ended within a few seconds.
 */
extern bool region_lock_intent(void);

/*
 * Has a session of this database announced something that it has not done yet?
 * Call with region_lock_intent held.
 */
extern bool region_intends(void);

/* Another region, as this one knows it.  Texts are palloc'd. */
typedef struct Region
{
	char	   *name;
	int			expanded;		/* 0: none; so the next two */
	int			current;
	int			lowest;
	char	   *intent;			/* or NULL */
	bool		intends_abort;
	bool		intends_contract;
	bool		intends_take_keys;
	bool		intends_give_keys_back;
	int			intent_release;
	char	   *doubt;			/* why it is not believed, or NULL */
	char	   *heard;			/* "heard of 00:00:03 ago" */
	int64		seen;			/* how far it has read the own row */
} Region;

/* Returns the other regions as they are known now, by name. */
extern List *region_others(void);

/*
 * Returns what says(region, arg) returns of the other regions, with their names and
 * how long ago they were heard of, in one line, palloc'd.  It returns NULL of those
 * that are left out; if that is all, so does this.  *first: the first that is not.
 */
extern char *region_list(char *(*says) (const Region *region, void *arg),
						 void *arg, const char **first);

/*
 * In an apply worker: is the change at hand of a region that sends the new columns
 * of the migration, as its writers and its syncs have left them?
 */
extern bool region_sends_columns(const char *migration);

/* Returns "release 42" or "no release", palloc'd. */
extern char *region_release_shown(int release);

#endif							/* TANDEM_REGION_ROW_H */
