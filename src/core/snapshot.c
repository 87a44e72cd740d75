/*
 * snapshot.c
 *		An active snapshot, wherever the server may need one.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "core/snapshot.h"

/* A transaction that has taken no snapshot yet may still choose its isolation. */
void
snapshot_push_latest(void)
{
	PushActiveSnapshot(FirstSnapshotSet ? GetLatestSnapshot()
					   : GetCatalogSnapshot(InvalidOid));
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
