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
#include "core/clock.h"
#include "core/compat.h"

#define FIRST_CAPACITY 16

/* so many blocks of a range are tried before it is given up for now */
#define LOOK 8

/* an old snapshot may keep a range for long: then it is left to VACUUM */
#define GIVE_UP_AFTER_MS 60000

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
		.first = first,.last = last,.since = clock_now()
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

	compat_prune_page(rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	pruned = !TransactionIdIsValid(((PageHeader) page)->pd_prune_xid);
	free_space = PageGetHeapFreeSpace(page);
	UnlockReleaseBuffer(buffer);
	if (pruned)
		RecordPageWithFreeSpace(rel, block, free_space);
	return pruned;
}

/* Whether its first blocks show that some snapshot still sees the old versions. */
static bool
is_seen(const FilledRange *range)
{
	return range->pruned == 0 && range->done > LOOK;
}

/* The next blocks of a range, at most most of them; returns how many. */
static BlockNumber
reclaim_some(Relation rel, FilledRange *range, BlockNumber end,
			 BlockNumber most)
{
	BlockNumber count = 0;

	while (count < most && range->first < end && !is_seen(range))
	{
		CHECK_FOR_INTERRUPTS();
		range->pruned += reclaim_block(rel, range->first++);
		range->done++;
		count++;
	}
	return count;
}

/* It is tried again later, from its first block. */
static bool
must_try_again(FilledRange *range)
{
	if (!is_seen(range) || clock_ms_since(range->since) >= GIVE_UP_AFTER_MS)
		return false;
	range->first -= range->done;
	range->done = 0;
	return true;
}

static void
forget_oldest(Reclaim *reclaim)
{
	reclaim->nranges--;
	memmove(reclaim->ranges, reclaim->ranges + 1,
			sizeof(FilledRange) * reclaim->nranges);
}

void
reclaim_run(Reclaim *reclaim, Relation rel, BlockNumber most)
{
	BlockNumber blocks;

	if (rel->rd_tableam != GetHeapamTableAmRoutine())
		return;
	blocks = RelationGetNumberOfBlocks(rel);
	while (reclaim->nranges > 0 && most > 0)
	{
		FilledRange *range = &reclaim->ranges[0];
		BlockNumber end = Min(range->last + 1, blocks);

		most -= reclaim_some(rel, range, end, most);
		if (range->first < end && !is_seen(range))
			return;				/* the rest next time */
		if (range->pruned > 0)
			FreeSpaceMapVacuumRange(rel, range->first - range->done,
									range->first);
		if (must_try_again(range))
			return;
		forget_oldest(reclaim);
	}
}
