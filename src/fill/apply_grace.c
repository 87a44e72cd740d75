/*
 * apply_grace.c
 *		Before rows that a batch has updated are committed: no subscription
 *		may be about to miss one of them.
 *
 * A worker of a subscription looks for the row of an UPDATE or DELETE by an index, or by
 * a scan, under a snapshot that sees each row version as it is at that moment.  If it
 * has read the index before the new version of the row was entered there, and looks at the
 * old version after that was committed, it finds neither.  The server then passes over
 * the change: on 18 it counts it, before that it only mentions it at DEBUG1.  (What users
 * write on a subscriber meets the same; but they do not write to all rows.)
 *
 * So a batch that has updated its rows, and entered them into the indexes, waits before
 * it commits until each worker has been seen where it is not within such a search: in no
 * transaction, in another one than before, or waiting for a lock.  The next search finds
 * the entries of both versions, and waits for the batch, or sees what it has committed.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"

#include "catalog/subscription.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/wait_chain.h"
#include "fill/apply_grace.h"

#define LOOK_EVERY_MS 1

typedef struct ApplyWorker
{
	VirtualTransactionId transaction;
	int			pid;
} ApplyWorker;

/* The pids of the workers of all subscriptions. */
static List *
subscription_pids(void)
{
	TandemQuery query;
	List	   *pids;

	query_begin(&query);
	pids = query_get_ints(query_run(&query,
									"SELECT pid FROM pg_stat_get_subscription(NULL) WHERE pid IS NOT NULL"));
	query_end(&query);
	return pids;
}

/* Returns the workers that have the table locked as one that changes rows has. */
static List *
workers_that_use(Relation rel)
{
	LOCKTAG		tag;
	int			count;
	VirtualTransactionId *holders;
	List	   *pids = NIL;
	List	   *workers = NIL;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, RelationGetRelid(rel));
	holders = GetLockConflicts(&tag, ShareLock, &count);
	if (count > 0)
		pids = subscription_pids();
	for (int i = 0; i < count; i++)
	{
		int			pid = compat_holder_pid(holders[i]);

		if (pid && list_member_int(pids, pid))
		{
			ApplyWorker *worker = palloc(sizeof(ApplyWorker));

			worker->transaction = holders[i];
			worker->pid = pid;
			workers = lappend(workers, worker);
		}
	}
	return workers;
}

/* Those that have not been seen outside of a search yet. */
static List *
workers_left(List *workers)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, workers)
	{
		ApplyWorker *worker = lfirst(lc);

		if (!wait_chain_process_waits(worker->pid) &&
			!VirtualXactLock(worker->transaction, false))
			left = lappend(left, worker);
	}
	return left;
}

void
apply_grace_wait(Relation rel)
{
	List	   *workers;
	int64		started = clock_now();

	if (subscription_of(RelationGetRelid(rel)).name == NULL)
		return;
	workers = workers_left(workers_that_use(rel));
	while (workers != NIL)
	{
		if (setting_batch_lock_timeout > 0 &&
			clock_ms_since(started) >= setting_batch_lock_timeout)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("a subscription is applying changes to table \"%s\", pid %d",
							RelationGetRelationName(rel),
							((ApplyWorker *) linitial(workers))->pid),
					 errhint("The batch is tried again, also by the next call.")));
		interruptible_sleep(LOOK_EVERY_MS);
		workers = workers_left(workers);
	}
}
