/*
 * reclaim.h
 *		Gives the space of rows that the fill has replaced to the next ones.
 *
 * Without it a fill of the whole table doubles it: every old version stays
 * until a VACUUM.  But as soon as no snapshot sees them any more their pages
 * can be pruned, and told to the free space map, so that the new versions of
 * later batches go there.
 */
#ifndef TANDEM_RECLAIM_H
#define TANDEM_RECLAIM_H

#include "storage/block.h"
#include "utils/rel.h"

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

/* Adds blocks of a batch that is about to commit. */
extern void reclaim_add(Reclaim *reclaim, BlockNumber first, BlockNumber last);

/*
 * Reclaims the oldest ranges whose old versions nobody sees any more, at most
 * so many blocks of them; the others stay on the list.  The caller has rel locked in ROW EXCLUSIVE mode.
 * Of tables that are not heap: does nothing.
 */
extern void reclaim_run(Reclaim *reclaim, Relation rel, BlockNumber most);

#endif							/* TANDEM_RECLAIM_H */
