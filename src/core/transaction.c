/*
 * transaction.c
 *		Transactions of a procedure, subtransactions and snapshots.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "core/clock.h"
#include "core/settings.h"
#include "core/transaction.h"

/*-------------------------------------------------------------------------
 * The transactions of a procedure that commits as it goes.
 *
 * What it works on others write too: the workers of a run, and who pauses or
 * configures it.  A row that they have written since the transaction began is
 * no error to it, and what it has read must not keep it from committing.
 *-------------------------------------------------------------------------
 */

void
transaction_commit(void)
{
	SPI_commit();
	settings_for_transaction("transaction_isolation", "read committed");
}

static void
rest_until_latch(long ms)
{
	CHECK_FOR_INTERRUPTS();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

void
transaction_poll(bool (*is_over) (void *), void *arg, long every_ms,
				 long commit_every_ms)
{
	MemoryContext caller = CurrentMemoryContext;

	/* what is waited for may take days */
	MemoryContext look = AllocSetContextCreate(caller, "tandem poll",
											   ALLOCSET_SMALL_SIZES);
	int64		committed = CLOCK_NEVER;
	bool		over = false;

	while (!over)
	{
		MemoryContextSwitchTo(look);
		over = is_over(arg);
		if (over || committed == CLOCK_NEVER ||
			clock_ms_since(committed) >= commit_every_ms)
		{
			transaction_commit();
			committed = clock_now();
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(look);
		if (!over)
			rest_until_latch(every_ms);
	}
	MemoryContextDelete(look);
}

/*-------------------------------------------------------------------------
 * Work whose error is returned instead of raised.
 *-------------------------------------------------------------------------
 */

static ErrorData *
run_in_subtransaction(void (*work) (void *), void *arg, bool keep)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

ErrorData *
subtransaction_try(void (*work) (void *), void *arg)
{
	return run_in_subtransaction(work, arg, true);
}

ErrorData *
subtransaction_rehearse(void (*work) (void *), void *arg)
{
	return run_in_subtransaction(work, arg, false);
}

/*-------------------------------------------------------------------------
 * An active snapshot, wherever the server may need one.
 *-------------------------------------------------------------------------
 */

/*
 * A transaction that has taken no snapshot yet may still choose its isolation.
 * A parallel query has one, and takes no other.
 */
static Snapshot
latest_snapshot(void)
{
	if (IsInParallelMode() && ActiveSnapshotSet())
		return GetActiveSnapshot();
	return FirstSnapshotSet ? GetLatestSnapshot()
		: GetCatalogSnapshot(InvalidOid);
}

void
snapshot_push_latest(void)
{
	PushActiveSnapshot(latest_snapshot());
}

void
snapshot_push_before(void)
{
	PushCopiedSnapshot(latest_snapshot());
	/* of its own changes a command sees those of lower numbers */
	GetActiveSnapshot()->curcid = FirstCommandId;
}

bool
snapshot_enter(void)
{
	if (ActiveSnapshotSet())
		return false;
	snapshot_push_latest();
	return true;
}

void
snapshot_leave(bool entered)
{
	if (entered)
		PopActiveSnapshot();
}
