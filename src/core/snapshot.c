/*
 * snapshot.c
 *		An active snapshot, wherever the server may need one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "core/snapshot.h"

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
