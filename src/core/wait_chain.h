/*
 * wait_chain.h
 *		Who waits for whom, as far as the server's locks tell.
 */
#ifndef TANDEM_WAIT_CHAIN_H
#define TANDEM_WAIT_CHAIN_H

#include "storage/lock.h"

/* What a session that holds a lock is doing. */
typedef enum LockHolder
{
	HOLDER_RUNS,				/* it waits for no lock, or has ended */
	HOLDER_WAITS,				/* it waits for others */
	HOLDER_WAITS_FOR_US			/* directly or through others: to wait for it
								 * would be a deadlock */
} LockHolder;

/*
 * Looks at the sessions that hold the lock in a mode that conflicts with mode;
 * returns the highest value among them.  It is a look at a moment: the answer
 * may be out of date.
 */
extern LockHolder wait_chain_holder(const LOCKTAG *lock, LOCKMODE mode);

/*
 * Does process pid wait for a lock?  Read without a lock: that may have changed when this
 * returns.
 */
extern bool wait_chain_process_waits(int pid);

/*
 * A lock that is about to be given back makes no circle.  So it is one if this many
 * looks in a row, some tenths of a second apart, have seen it.
 */
#define WAIT_CHAIN_LOOKS 4

/*
 * Does process pid wait for a lock of target, directly or through others?  They
 * may be the same: then it is part of a deadlock.  Errors: none.
 */
extern bool wait_chain_leads_to(int pid, int target);

#endif							/* TANDEM_WAIT_CHAIN_H */
