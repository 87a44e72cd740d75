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

typedef struct Window
{
	int			workers;		/* that share the table */
	bool		claimed;		/* it is a region that this process has */
	BlockNumber region;
	BlockNumber first;
	int64		end;			/* behind its last block */
	BlockNumber cursor;			/* next block to look at */
	bool		crowded;		/* a page of it needs another visit */
	bool		filled;			/* something was written in it */
	bool		wrapped;		/* the last claim began again from the first
								 * block of the table */
} Window;

typedef enum BlocksLeft
{
	BLOCKS_CLAIMED,
	BLOCKS_OF_OTHERS,			/* some are left, all in other processes'
								 * hands */
	BLOCKS_NONE
} BlocksLeft;

/*
 * The next blocks to work on, at most most of them: of the window, as long as a
 * page of it needs another visit, then of the next region behind it that nobody
 * has, and at last from the first block of the table on.  A window that is done
 * is told to reclaim.
 */
extern BlocksLeft window_next_blocks(Window *window, const Step *step,
									 int most, Blocks *blocks,
									 Reclaim *reclaim);

/*
 * How large a batch of a fill may be, so that the batches of other workers,
 * which see the old versions of a visit, end before the next visit.
 */
extern int	window_largest_batch(const Window *window, const Step *step);

/* Gives its region back. */
extern void window_leave(Window *window, const Step *step);

#endif							/* TANDEM_WINDOW_H */
