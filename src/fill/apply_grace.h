/*
 * apply_grace.h
 *		Before rows that a batch has updated are committed: no subscription
 *		may be about to miss one of them.
 */
#ifndef TANDEM_APPLY_GRACE_H
#define TANDEM_APPLY_GRACE_H

#include "utils/rel.h"

/*
 * Call after the last update of rows of rel, a locked leaf table, in this transaction.
 * Returns at once unless the table is subscribed, and a worker of a subscription uses it.
 * Then it waits for that worker as long as tandem.batch_lock_timeout.  Errors: that was
 * not enough (ERRCODE_LOCK_NOT_AVAILABLE, so the batch is tried again).
 */
extern void apply_grace_wait(Relation rel);

#endif							/* TANDEM_APPLY_GRACE_H */
