/*
 * pages.h
 *		The pages at work: what is written on a visit, the next visit, and
 *		the space of replaced rows.
 */
#ifndef TANDEM_PAGES_H
#define TANDEM_PAGES_H

#include "executor/tuptable.h"
#include "storage/block.h"
#include "utils/rel.h"

#include "catalog/step.h"

/*-------------------------------------------------------------------------
 * Which rows of a page are written now, and which are left for a later
 * visit, so that new versions find room beside the old ones.
 *
 * A new version that stays on its page is cheap for as long as the table lives:
 * it takes no entry in any index, and its old version is pruned without a
 * VACUUM (a heap-only tuple).  But a full page has room for none.  So a page is
 * visited several times: each visit writes what fits, and a small part of its
 * rows in any case, which moves those elsewhere; the commit makes their old
 * versions prunable, and that is the room for the next visit.
 *-------------------------------------------------------------------------
 */

typedef struct PageRoom
{
	bool		unlimited;		/* no heap, or an index needs each version */
	int			written;		/* rows, on this visit */
	int			quota;			/* rows that may move elsewhere on it */
	Size		growth;			/* that a new version takes more than its old */
	Size		free;			/* at the last question */
	BlockNumber block;
} PageRoom;

/* For updates of rel that write columns (numbers of attributes). */
extern void page_room_init(PageRoom *room, Relation rel, Bitmapset *columns);

/* The scan has come to another page: that of the row in slot. */
extern void page_room_enter(PageRoom *room, TupleTableSlot *slot);

/* Whether the row in slot may be written on this visit. */
extern bool page_room_allows(PageRoom *room, TupleTableSlot *slot);

/* It has been, from slot, as the row at tid.  True: that is on another page. */
extern bool page_room_written(PageRoom *room, TupleTableSlot *slot,
							  ItemPointer tid);

/*-------------------------------------------------------------------------
 * Gives the space of rows that the fill has replaced to the next ones.
 *
 * Without it a fill of the whole table doubles it: every old version stays
 * until a VACUUM.  But as soon as no snapshot sees them any more their pages
 * can be pruned, and told to the free space map, so that the new versions of
 * later batches go there.
 *-------------------------------------------------------------------------
 */

typedef struct FilledRange
{
	BlockNumber first;			/* moves on as its blocks are done */
	BlockNumber last;
	BlockNumber done;			/* blocks before first */
	BlockNumber pruned;			/* of these */
	int64		since;			/* of clock_now: on the list */
} FilledRange;

typedef struct Reclaim
{
	MemoryContext context;		/* of ranges */
	FilledRange *ranges;		/* filled and committed, oldest first */
	int			nranges;
	int			capacity;
} Reclaim;

/* Starts an empty list, kept in the current memory context. */
extern void reclaim_start(Reclaim *reclaim);

/*
 * Reclaims the oldest ranges whose old versions nobody sees any more, at most
 * so many blocks of them; the others stay on the list.  The caller has rel locked in ROW EXCLUSIVE mode.
 * Of tables that are not heap: does nothing.
 */
extern void reclaim_run(Reclaim *reclaim, Relation rel, BlockNumber most);

typedef struct ChunkScan
{
	int			workers;		/* that share the table */
	bool		claimed;		/* it is a chunk that this process has */
	BlockNumber chunk;
	BlockNumber first;
	int64		end;			/* behind its last block */
	BlockNumber cursor;			/* next block to look at */
	bool		crowded;		/* a page of it needs another visit */
	bool		filled;			/* something was written in it */
	bool		wrapped;		/* the last claim began again from the first
								 * block of the table */
} ChunkScan;

typedef enum BlocksLeft
{
	BLOCKS_CLAIMED,
	BLOCKS_OF_OTHERS,			/* some are left, all in other processes'
								 * hands */
	BLOCKS_NONE
} BlocksLeft;

/*
 * The next blocks to work on, at most most of them: of the chunk, as long as a
 * page of it needs another visit, then of the next chunk behind it that nobody
 * has, and at last from the first block of the table on.  A scan that is done
 * is told to reclaim.
 */
extern BlocksLeft chunk_scan_next_blocks(ChunkScan *scan, const Step *step,
										 int most, Blocks *blocks,
										 Reclaim *reclaim);

/*
 * How large a batch of a fill may be, so that the batches of other workers,
 * which see the old versions of a visit, end before the next visit.
 */
extern int	chunk_scan_largest_batch(const ChunkScan *scan, const Step *step);

/* Gives its chunk back. */
extern void chunk_scan_leave(ChunkScan *scan, const Step *step);

#endif							/* TANDEM_PAGES_H */
