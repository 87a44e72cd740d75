/*
 * pages.h
 *		Decides which pages are visited next and which rows are written, and
 *		frees the space of replaced rows.
 */
#ifndef TANDEM_PAGES_H
#define TANDEM_PAGES_H

#include "executor/tuptable.h"
#include "storage/block.h"
#include "utils/rel.h"

#include "catalog/step.h"

/*-------------------------------------------------------------------------
 * Which rows of a page are written now, and which on a later visit, so that
 * new versions find room beside the old ones.
 *
 * A new version that stays on its page (a heap-only tuple) needs no index
 * entries, and its old version can be pruned without a VACUUM.  But a full
 * page has no room for it.  So a page is visited several times.  Each visit
 * writes the rows that fit, and in any case a few more, which move to other
 * pages.  After the commit their old versions can be pruned, which makes room
 * for the next visit.
 *-------------------------------------------------------------------------
 */

typedef struct PageRoom
{
	bool		unlimited;		/* not heap, or an index needs each new
								 * version */
	int			written;		/* rows written on this visit */
	int			quota;			/* rows that may move elsewhere on this visit */
	Size		growth;			/* bytes by which new versions exceed old ones */
	Size		free;			/* free space when last looked at */
	BlockNumber block;
} PageRoom;

/* Starts updates of rel that write columns (attribute numbers). */
extern void page_room_init(PageRoom *room, Relation rel, Bitmapset *columns);

/* Tells that the scan has come to another page, that of the row in slot. */
extern void page_room_enter(PageRoom *room, TupleTableSlot *slot);

/* May the row in slot be written on this visit? */
extern bool page_room_allows(PageRoom *room, TupleTableSlot *slot);

/*
 * Tells that the row in slot has been written, as the row at tid.  Returns
 * true if it has moved to another page.
 */
extern bool page_room_written(PageRoom *room, TupleTableSlot *slot,
							  ItemPointer tid);

/*-------------------------------------------------------------------------
 * Making the space of replaced rows available to later ones.
 *
 * Without this a fill of the whole table would double it, since every old
 * version stays until a VACUUM.  As soon as no snapshot sees the old versions,
 * their pages can be pruned and entered into the free space map, and later
 * batches put new versions there.
 *-------------------------------------------------------------------------
 */

typedef struct FilledRange
{
	BlockNumber first;			/* moves forward as blocks are done */
	BlockNumber last;
	BlockNumber done;			/* number of blocks already done, before first */
	BlockNumber pruned;			/* number of these that were pruned */
	int64		since;			/* clock_now() when it was added */
} FilledRange;

typedef struct Reclaim
{
	MemoryContext context;		/* memory context of ranges */
	FilledRange *ranges;		/* filled and committed ranges, oldest first */
	int			nranges;
	int			capacity;
} Reclaim;

/* Starts an empty list in the current memory context. */
extern void reclaim_start(Reclaim *reclaim);

/*
 * Prunes the oldest ranges whose old versions no snapshot sees any more, up to
 * most blocks; others stay on the list.  The caller has locked rel in ROW
 * EXCLUSIVE mode.  Does nothing if the table is not heap.
 */
extern void reclaim_run(Reclaim *reclaim, Relation rel, BlockNumber most);

typedef struct ChunkScan
{
	int			workers;		/* number of workers on the table */
	bool		claimed;		/* does this process own the chunk? */
	LOCKTAG		claim;
	BlockNumber chunk;
	BlockNumber first;
	int64		end;			/* block after its last one */
	BlockNumber cursor;			/* next block to look at */
	bool		crowded;		/* a page of the chunk needs another visit */
	bool		filled;			/* something was written in the chunk */
	bool		wrapped;		/* the last call started again from the
								 * table's first block */
} ChunkScan;

typedef enum BlocksLeft
{
	BLOCKS_CLAIMED,
	BLOCKS_OF_OTHERS,			/* some are left, all owned by other processes */
	BLOCKS_NONE
} BlocksLeft;

/*
 * Finds the next blocks to work on, up to most: from the current chunk while a
 * page of it needs another visit; then from the next chunk that no other
 * process owns, starting again at the first block of the table.  A chunk that
 * is done is added to reclaim.
 */
extern BlocksLeft chunk_scan_next_blocks(ChunkScan *scan, const Step *step,
										 int most, Blocks *blocks,
										 Reclaim *reclaim);

/*
 * Returns the maximum size of a fill's batch, in blocks.  It is small enough
 * that batches of other workers, whose snapshots see the old versions of one
 * visit, end before the next visit.
 */
extern int	chunk_scan_largest_batch(const ChunkScan *scan, const Step *step);

/* Releases the chunk that this process owns, if any. */
extern void chunk_scan_leave(ChunkScan *scan);

#endif							/* TANDEM_PAGES_H */
