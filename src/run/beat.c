/*
 * beat.c
 *		Tells other regions how far this database is, in processes of their
 *		own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_subscription.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"

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
beat_announce(RegionAct act, int release, int migration_id)
{
	ProcessOrder order = {
		.database = MyDatabaseId,.act = act,.release = release,
		.migration_id = migration_id
	};
	BackgroundWorkerHandle *handle = process_start("tandem_beat_main", "region", &order);

	if (handle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free to tell the other regions what is about to be done"),
				 errhint(PROCESS_NONE_FREE_HINT, max_worker_processes)));
	(void) WaitForBackgroundWorkerShutdown(handle);
}

static Oid
database_of_subscription(HeapTuple tuple)
{
	return ((Form_pg_subscription) GETSTRUCT(tuple))->subdbid;
}

void
beat_databases(void)
{
	ListCell   *lc;

	foreach(lc, process_list_databases(SubscriptionRelationId,
									   database_of_subscription))
	{
		ProcessOrder order = {.database = lfirst_oid(lc)};
		BackgroundWorkerHandle *handle = process_start("tandem_beat_main", "region", &order);

		if (handle)
			(void) WaitForBackgroundWorkerShutdown(handle);
	}
}
