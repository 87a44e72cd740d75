/*
 * reclaim.c
 *		Gives the space of rows that the fill has replaced to the next ones.
 *
 * Pruning leaves a line pointer of four bytes for each old version, and the
 * index entries: a later VACUUM takes those.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/freespace.h"

#include "backfill/reclaim.h"

#define FIRST_CAPACITY 16

/* an old snapshot may keep a range for long: then it is left to VACUUM */
#define MOST_TRIES 100

void
reclaim_start(Reclaim *reclaim)
{
	reclaim->context = CurrentMemoryContext;
	reclaim->capacity = FIRST_CAPACITY;
	reclaim->ranges = palloc(sizeof(FilledRange) * FIRST_CAPACITY);
	reclaim->nranges = 0;
}

void
reclaim_add(Reclaim *reclaim, BlockNumber first, BlockNumber last)
{
	if (reclaim->nranges == reclaim->capacity)
	{
		reclaim->capacity *= 2;
		reclaim->ranges = repalloc(reclaim->ranges,
								   sizeof(FilledRange) * reclaim->capacity);
	}
	reclaim->ranges[reclaim->nranges++] = (FilledRange)
	{
		first, last, 0
	};
}

/* Whether the page has no old version left that could be pruned later. */
static bool
reclaim_block(Relation rel, BlockNumber block)
{
	Buffer		buffer = ReadBuffer(rel, block);
	Page		page = BufferGetPage(buffer);
	Size		free_space;
	bool		pruned;

	heap_page_prune_opt(rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	pruned = !TransactionIdIsValid(((PageHeader) page)->pd_prune_xid);
	free_space = PageGetHeapFreeSpace(page);
	UnlockReleaseBuffer(buffer);
	if (pruned)
		RecordPageWithFreeSpace(rel, block, free_space);
	return pruned;
}

/*
 * False when most of the range could not be pruned: some snapshot still sees
 * the old versions.  A few pages may always be in use.
 */
static bool
reclaim_range(Relation rel, const FilledRange *range, BlockNumber blocks)
{
	BlockNumber end = Min(range->last + 1, blocks);
	BlockNumber pruned = 0;

	for (BlockNumber block = range->first; block < end; block++)
	{
		CHECK_FOR_INTERRUPTS();
		pruned += reclaim_block(rel, block);
		/* after a look at the first pages it is plain how the rest is */
		if (pruned == 0 && block - range->first >= 8)
			return false;
	}
	if (end > range->first)
		FreeSpaceMapVacuumRange(rel, range->first, end);
	return end <= range->first || pruned * 2 >= end - range->first;
}

void
reclaim_run(Reclaim *reclaim, Relation rel)
{
	BlockNumber blocks;
	int			done = 0;

	if (rel->rd_tableam != GetHeapamTableAmRoutine())
		return;
	blocks = RelationGetNumberOfBlocks(rel);
	while (done < reclaim->nranges)
	{
		FilledRange *range = &reclaim->ranges[done];

		if (!reclaim_range(rel, range, blocks) && ++range->tries < MOST_TRIES)
			break;
		done++;
	}
	reclaim->nranges -= done;
	memmove(reclaim->ranges, reclaim->ranges + done,
			sizeof(FilledRange) * reclaim->nranges);
}
