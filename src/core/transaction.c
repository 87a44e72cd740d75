/*
 * transaction.c
 *		Transactions of a procedure, subtransactions and snapshots.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/settings.h"
#include "core/transaction.h"

/*-------------------------------------------------------------------------
 * The transactions of a procedure that commits as it goes.
 *
 * Its rows are also written by others: workers of the run, and sessions that
 * pause or configure it.  It must not fail because a row was written since the
 * transaction began, nor because of what it has read.
 *-------------------------------------------------------------------------
 */

static bool commits_lazily = false;

void
transaction_commit_lazily(bool lazily)
{
	commits_lazily = lazily;
}

void
transaction_commit(void)
{
	SPI_commit();
	settings_for_transaction("transaction_isolation", "read committed");
	if (commits_lazily)
		settings_for_transaction("synchronous_commit", "off");
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

	/* a wait may last for days */
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
 * Work whose error is returned instead of thrown.
 *-------------------------------------------------------------------------
 */

/*
 * Like PL/pgSQL's exception blocks: memory context and resource owner are
 * those of the caller again afterwards.
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
subtransaction_catch(void (*work) (void *), void *arg, bool keep)
{
	return run_in_subtransaction(work, arg, keep);
}

static ErrorData *
throw_intervention(ErrorData *error)
{
	if (error && error_is_intervention(error))
		ReThrowError(error);
	return error;
}

ErrorData *
subtransaction_try(void (*work) (void *), void *arg)
{
	return throw_intervention(run_in_subtransaction(work, arg, true));
}

ErrorData *
subtransaction_rehearse(void (*work) (void *), void *arg)
{
	return throw_intervention(run_in_subtransaction(work, arg, false));
}

/*-------------------------------------------------------------------------
 * Other transactions.
 *-------------------------------------------------------------------------
 */

/* how many transaction numbers are looked at, own subtransactions included */
#define MOST_LATER_XIDS 8

/*
 * A transaction writes nothing before it has a number, and who has one is in a
 * snapshot until it ends, or began after the last that has ended.
 */
bool
transaction_writes_alone(void)
{
	Snapshot	latest = GetLatestSnapshot();
	TransactionId xid = latest->xmax;
	TransactionId next;

	if (latest->xcnt > 0)
		return false;
	next = ReadNextTransactionId();
	for (int i = 0; xid != next; i++)
	{
		if (i == MOST_LATER_XIDS || !TransactionIdIsCurrentTransactionId(xid))
			return false;
		TransactionIdAdvance(xid);
	}
	return true;
}

/*-------------------------------------------------------------------------
 * Setting an active snapshot where the server may need one.
 *-------------------------------------------------------------------------
 */

/*
 * A transaction that has taken no snapshot yet may still change its isolation
 * level.  A parallel query has a snapshot, and cannot take another.
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
	/* a command sees changes of its own transaction with lower command ids */
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
