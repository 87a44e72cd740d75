/*
 * wait_chain.h
 *		Who waits for whom, as far as the server's locks tell.
 */
#ifndef TANDEM_WAIT_CHAIN_H
#define TANDEM_WAIT_CHAIN_H

#include "storage/lock.h"

/*
 * Does a session that holds the lock in a mode that conflicts with mode wait
 * for this session, directly or through others?  To wait for it would be a
 * deadlock.  It is a look at a moment: the answer may be out of date.
 */
extern bool wait_chain_reaches_us(const LOCKTAG *lock, LOCKMODE mode);

#endif							/* TANDEM_WAIT_CHAIN_H */
