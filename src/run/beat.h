/*
 * beat.h
 *		Tells other regions how far this database is, in processes of their
 *		own: what is announced is committed before the caller acts.
 */
#ifndef TANDEM_BEAT_H
#define TANDEM_BEAT_H

#include "catalog/region_row.h"

/* Milliseconds between two beats, and for how long one waits for the own row. */
#define BEAT_MS 10000

/*
 * Has a worker beat once the current transaction has ended.  If no worker is free,
 * the next beat comes later.
 */
extern void beat_after_transaction(void);

/*
 * Has a worker announce the act (region_announce), and waits until it has ended; an
 * error of it is in the server's log.  Errors: no worker is free.
 */
extern void beat_announce(RegionAct act, int release, int migration_id);

/*
 * Has a worker beat in each database that has a subscription, one after the other.
 * For the launcher, outside a transaction.
 */
extern void beat_databases(void);

#endif							/* TANDEM_BEAT_H */
