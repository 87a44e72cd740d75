/*
 * window.h
 *		The pages at work: visited in turn until each has its new versions.
 *
 * See page_room.h: why a page is visited more than once.
 */
#ifndef TANDEM_WINDOW_H
#define TANDEM_WINDOW_H

#include "backfill/reclaim.h"
#include "catalog/step_blocks.h"

/*
 * A window is so many batches large: the transactions that see the old versions
 * of a visit, batches of other workers among them, are to end before the next;
 * yet it is to stay in memory.
 */
#define WINDOW_BATCHES 4
#define WINDOW_LARGEST 4096
#define WINDOW_LARGEST_BATCH (WINDOW_LARGEST / WINDOW_BATCHES)

typedef struct Window
{
	BlockNumber first;
	int64		end;			/* behind its last block */
	BlockNumber cursor;			/* next block to look at */
	bool		crowded;		/* a page of it needs another visit */
	bool		filled;			/* something was written in it */
	bool		wrapped;		/* the last claim began again from the first
								 * block of the table */
} Window;

/*
 * Claims blocks, at most most: of the window, as long as a page of it needs
 * another visit, then behind it, and at last from the first block of the table
 * on.  A window that is done is told to reclaim.
 */
extern BlocksLeft window_next_blocks(Window *window, const Step *step,
									 int most, Blocks *blocks,
									 Reclaim *reclaim);

#endif							/* TANDEM_WINDOW_H */
