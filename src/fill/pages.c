/*
 * pages.c
 *		Decides which pages are visited next and which rows are written, and
 *		frees the space of replaced rows.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/freespace.h"

#include "core/clock.h"
#include "core/compat.h"
#include "fill/pages.h"

/*-------------------------------------------------------------------------
 * Which rows of a page are written now, and which on a later visit.
 *
 * The page is read with only the scan's pin and no lock.  A wrong answer means
 * that a row moves or waits unnecessarily, nothing worse.
 *-------------------------------------------------------------------------
 */

/* number of visits after which a page is done even if nothing is pruned */
#define VISITS 16

void
page_room_init(PageRoom *room, Relation rel, Bitmapset *columns)
{
	memset(room, 0, sizeof(PageRoom));
	room->block = InvalidBlockNumber;
	room->unlimited = rel->rd_tableam != GetHeapamTableAmRoutine() ||
		compat_index_reads(rel, columns);
}

static Page
page_of_slot(TupleTableSlot *slot)
{
	return BufferGetPage(((BufferHeapTupleTableSlot *) slot)->buffer);
}

static Size
tuple_length_in_slot(TupleTableSlot *slot)
{
	return MAXALIGN(((BufferHeapTupleTableSlot *) slot)->base.tuple->t_len);
}

void
page_room_enter(PageRoom *room, TupleTableSlot *slot)
{
	room->block = ItemPointerGetBlockNumber(&slot->tts_tid);
	room->written = 0;
	if (room->unlimited)
		return;
	room->quota = PageGetMaxOffsetNumber(page_of_slot(slot)) / VISITS + 1;
}

bool
page_room_allows(PageRoom *room, TupleTableSlot *slot)
{
	if (room->unlimited)
		return true;
	room->free = PageGetHeapFreeSpace(page_of_slot(slot));
	return room->written < room->quota ||
		room->free >= tuple_length_in_slot(slot) + room->growth;
}

bool
page_room_written(PageRoom *room, TupleTableSlot *slot, ItemPointer tid)
{
	bool		moved = ItemPointerGetBlockNumber(tid) != room->block;
	Size		length;
	Size		taken;

	room->written++;
	if (room->unlimited)
		return moved;
	length = tuple_length_in_slot(slot);
	if (!moved)
	{
		taken = room->free - Min(room->free,
								 PageGetHeapFreeSpace(page_of_slot(slot)));
		room->growth = taken - Min(taken, length);
	}
	/* it should have fit and did not: raise the estimate */
	else if (room->free >= length + room->growth)
		room->growth = MAXALIGN(room->free - length + 1);
	return moved;
}

/*-------------------------------------------------------------------------
 * Making the space of replaced rows available to later ones.
 *
 * Pruning leaves the index entries and a four-byte line pointer for each old
 * version.  A later VACUUM removes those.
 *-------------------------------------------------------------------------
 */

#define FIRST_CAPACITY 16

/* number of blocks tried before a range is given up for now */
#define LOOK 8

/* if an old snapshot keeps a range for longer, leave it to VACUUM */
#define GIVE_UP_AFTER_MS 60000

void
reclaim_start(Reclaim *reclaim)
{
	reclaim->context = CurrentMemoryContext;
	reclaim->capacity = FIRST_CAPACITY;
	reclaim->ranges = palloc(sizeof(FilledRange) * FIRST_CAPACITY);
	reclaim->nranges = 0;
}

/* Adds the blocks of a batch that is about to commit. */
static void
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

/*
 * Prunes the block.  Returns true if no old version is left to be pruned
 * later.
 */
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

/*
 * Did pruning the first blocks show that a snapshot still sees old versions?
 */
static bool
range_is_still_seen(const FilledRange *range)
{
	return range->pruned == 0 && range->done > LOOK;
}

/* Prunes the next blocks of a range, up to most.  Returns their number. */
static BlockNumber
reclaim_blocks(Relation rel, FilledRange *range, BlockNumber end,
			   BlockNumber most)
{
	BlockNumber count = 0;

	while (count < most && range->first < end && !range_is_still_seen(range))
	{
		CHECK_FOR_INTERRUPTS();
		range->pruned += reclaim_block(rel, range->first++);
		range->done++;
		count++;
	}
	return count;
}

/* If the range is to be tried again, resets it to its first block. */
static bool
range_must_be_retried(FilledRange *range)
{
	if (!range_is_still_seen(range) ||
		clock_ms_since(range->since) >= GIVE_UP_AFTER_MS)
		return false;
	range->first -= range->done;
	range->done = 0;
	return true;
}

static void
forget_oldest_range(Reclaim *reclaim)
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

		most -= reclaim_blocks(rel, range, end, most);
		if (range->first < end && !range_is_still_seen(range))
			return;				/* continue in the next call */
		if (range->pruned > 0)
			FreeSpaceMapVacuumRange(rel, range->first - range->done,
									range->first);
		if (range_must_be_retried(range))
			return;
		forget_oldest_range(reclaim);
	}
}

/*-------------------------------------------------------------------------
 * Visiting the pages of a chunk in turn until each has its new versions.
 *
 * A process owns a chunk until it is done with it.  Otherwise another worker
 * would visit the pages too soon.
 *-------------------------------------------------------------------------
 */

/*
 * number of batches for one visit of a chunk if there are several workers,
 * unless they become too small
 */
#define BATCHES_PER_CHUNK 4
#define SMALLEST_BATCH 64

int
chunk_scan_largest_batch(const ChunkScan *scan, const Step *step)
{
	int			chunk = step_chunk_blocks(step, scan->workers);

	return scan->workers > 1 ? Max(chunk / BATCHES_PER_CHUNK,
								   SMALLEST_BATCH) : chunk;
}

void
chunk_scan_leave(ChunkScan *scan)
{
	if (scan->claimed)
		step_leave_chunk(&scan->claim);
	scan->claimed = scan->crowded = scan->filled = false;
}

static bool
take_chunk_blocks(ChunkScan *scan, const Step *step, int most, Blocks *blocks)
{
	/* a batch that is tried again may have started in another chunk */
	if (scan->cursor < scan->first || scan->cursor > scan->end)
		scan->cursor = scan->first;
	if (step_next_blocks(step, &scan->cursor, scan->end, most, blocks))
		return true;
	if (!scan->crowded)
		return false;
	scan->crowded = false;
	scan->cursor = scan->first;
	return step_next_blocks(step, &scan->cursor, scan->end, most, blocks);
}

/*
 * Claims the next chunk, from the cursor on, that has blocks left and that no
 * other process owns.
 */
static BlocksLeft
enter_chunk(ChunkScan *scan, const Step *step, int most, Blocks *blocks)
{
	BlockNumber size = step_chunk_blocks(step, scan->workers);
	int64		from = scan->cursor;
	bool		others = false;
	BlockNumber block;

	while (step_first_block(step, from, &block))
	{
		scan->chunk = block / size;
		scan->first = scan->cursor = scan->chunk * size;
		scan->end = from = (int64) scan->first + size;
		scan->claimed = step_claim_chunk(step, scan->chunk, &scan->claim);
		/* another process may have finished it before we claimed it */
		if (scan->claimed && take_chunk_blocks(scan, step, most, blocks))
			return BLOCKS_CLAIMED;
		others |= !scan->claimed;
		chunk_scan_leave(scan);
	}
	return others ? BLOCKS_OF_OTHERS : BLOCKS_NONE;
}

BlocksLeft
chunk_scan_next_blocks(ChunkScan *scan, const Step *step, int most,
					   Blocks *blocks, Reclaim *reclaim)
{
	BlocksLeft	left;

	scan->wrapped = false;
	if (scan->claimed && take_chunk_blocks(scan, step, most, blocks))
		return BLOCKS_CLAIMED;
	if (scan->filled)
		reclaim_add(reclaim, scan->first,
					(BlockNumber) Min(scan->end - 1, MaxBlockNumber));
	chunk_scan_leave(scan);
	left = enter_chunk(scan, step, most, blocks);
	if (left != BLOCKS_CLAIMED)
	{
		scan->wrapped = true;
		scan->cursor = 0;
		left = enter_chunk(scan, step, most, blocks);
	}
	return left;
}
