/*
 * pages.c
 *		The pages at work: what is written on a visit, the next visit, and
 *		the space of replaced rows.
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
 * The page is looked at without its lock, by the pin of the scan: a wrong
 * answer costs a row that moves or waits, no more.
 *-------------------------------------------------------------------------
 */

/* a page is done after about so many visits, even if nothing is ever pruned */
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
	/* it was to fit, and did not */
	else if (room->free >= length + room->growth)
		room->growth = MAXALIGN(room->free - length + 1);
	return moved;
}

/*-------------------------------------------------------------------------
 * Gives the space of rows that the fill has replaced to the next ones.
 *
 * Pruning leaves a line pointer of four bytes for each old version, and the
 * index entries: a later VACUUM takes those.
 *-------------------------------------------------------------------------
 */

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

/* Adds blocks of a batch that is about to commit. */
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
range_is_still_seen(const FilledRange *range)
{
	return range->pruned == 0 && range->done > LOOK;
}

/* The next blocks of a range, at most most of them; returns how many. */
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

/* It is tried again later, from its first block. */
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
			return;				/* the rest next time */
		if (range->pruned > 0)
			FreeSpaceMapVacuumRange(rel, range->first - range->done,
									range->first);
		if (range_must_be_retried(range))
			return;
		forget_oldest_range(reclaim);
	}
}

/*-------------------------------------------------------------------------
 * The pages at work: visited in turn until each has its new versions.
 *
 * A scan is a chunk of the table that this process has for itself until it
 * is done, or another worker would visit its pages too soon.
 *-------------------------------------------------------------------------
 */

/* one of several workers visits a chunk in so many batches, unless they are too small */
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
chunk_scan_leave(ChunkScan *scan, const Step *step)
{
	if (scan->claimed)
		step_leave_chunk(step, scan->chunk);
	scan->claimed = scan->crowded = scan->filled = false;
}

static bool
take_chunk_blocks(ChunkScan *scan, const Step *step, int most, Blocks *blocks)
{
	/* a batch that is tried again may have begun in another chunk */
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

/* The next chunk, from the cursor on, that has blocks left and nobody has. */
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
		scan->claimed = step_claim_chunk(step, scan->chunk);
		/* what another has done between the look and the claim is gone */
		if (scan->claimed && take_chunk_blocks(scan, step, most, blocks))
			return BLOCKS_CLAIMED;
		others |= !scan->claimed;
		chunk_scan_leave(scan, step);
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
	chunk_scan_leave(scan, step);
	left = enter_chunk(scan, step, most, blocks);
	if (left != BLOCKS_CLAIMED)
	{
		scan->wrapped = true;
		scan->cursor = 0;
		left = enter_chunk(scan, step, most, blocks);
	}
	return left;
}
