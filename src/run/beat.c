/*
 * beat.c
 *		Tells other regions how far this database is, in processes of their
 *		own.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_subscription.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/snapmgr.h"

#include "catalog/migration.h"
#include "catalog/region_row.h"
#include "core/clock.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/transaction.h"
#include "run/beat.h"
#include "run/process.h"

PROCESS_MAIN(tandem_beat_main);

#define AGAIN_MS 100

/*
 * Beats in a transaction of its own.  Returns false if somebody who acts has the
 * own row locked.
 */
static bool
beat_once(void)
{
	bool		done;

	session_begin();
	done = !OidIsValid(extension_schema()) || region_here() == NULL || region_beat();
	session_end();
	return done;
}

/* A transaction that arrived from elsewhere, and that this process is to see. */
static void
wait_for_transaction(TransactionId xid)
{
	session_begin();
	lock_wait_for_transaction(psprintf("%u", xid), BEAT_MS);
	session_end();
}

static void
announce(const ProcessOrder *order)
{
	session_begin();
	region_announce((RegionAct) order->act, order->release, order->migration_id);
	session_end();
}

static void
beat_for_order(const ProcessOrder *order)
{
	int64		end = clock_after_ms(BEAT_MS);

	if (order->act > 0)
	{
		announce(order);
		return;
	}
	if (!TransactionIdIsValid(order->after))
	{
		(void) beat_once();
		return;
	}
	wait_for_transaction(order->after);
	while (!beat_once() && clock_now() < end)
		interruptible_sleep(AGAIN_MS);
}

/* Main function of a worker that announces, or beats once. */
void
tandem_beat_main(Datum argument)
{
	process_run(beat_for_order);
}

void
beat_after_transaction(void)
{
	ProcessOrder order = {.database = MyDatabaseId,.after = GetTopTransactionId()};

	(void) process_start("tandem_beat_main", "region", &order);
}

void
beat_announce(RegionAct act, int release, const Migration *migration)
{
	ProcessOrder order = {
		.database = MyDatabaseId,.act = act,.release = release,
		.migration_id = migration ? migration->id : 0
	};
	BackgroundWorkerHandle *handle = process_start("tandem_beat_main", "region", &order);

	if (handle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free to tell the other regions what is about to be done"),
				 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
	(void) WaitForBackgroundWorkerShutdown(handle);
	if (region_announced(region_intent(act, release, migration ? migration->name : "")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not tell the other regions what is about to be done"),
				 errhint("The server's log has the error of the background worker; then call it again.")));
}

/*
 * Shared, so the launcher, which is in no database, can read it.  In the current
 * memory context.
 */
static List *
databases_with_subscriptions(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(SubscriptionRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		MemoryContext transaction = MemoryContextSwitchTo(caller);

		databases = list_append_unique_oid(databases,
										   ((Form_pg_subscription) GETSTRUCT(tuple))->subdbid);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

void
beat_databases(void)
{
	ListCell   *lc;

	foreach(lc, databases_with_subscriptions())
	{
		ProcessOrder order = {.database = lfirst_oid(lc)};
		BackgroundWorkerHandle *handle = process_start("tandem_beat_main", "region", &order);

		if (handle)
			(void) WaitForBackgroundWorkerShutdown(handle);
	}
}
