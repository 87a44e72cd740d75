/*
 * step_blocks.h
 *		The blocks that a step has left, shared out among processes.
 */
#ifndef TANDEM_STEP_BLOCKS_H
#define TANDEM_STEP_BLOCKS_H

#include "catalog/step.h"

/* What one batch adds to its step. */
typedef struct StepAdvance
{
	int64		rows_done;
	int64		rows_filled;
	int64		rows_indexed;
	int64		rows_quarantined;
	int64		rows_unfilled;
	int64		rows_mismatched;
	const char *waiting;		/* for what it rests after the batch, or NULL */
	const char *blockers;		/* who has rows locked, or NULL */
	int			batch_blocks;
	double		seconds;		/* that it took */
} StepAdvance;

typedef struct BlockRange
{
	BlockNumber first;
	BlockNumber last;
} BlockRange;

/* so that a batch of scattered blocks has an end */
#define MOST_RANGES 128

/* The blocks of one batch: at least one range, ascending. */
typedef struct Blocks
{
	int			nranges;
	BlockRange	ranges[MOST_RANGES];
} Blocks;

/*
 * The blocks are shared out among workers in regions of so many.  A region is
 * claimed by a session lock, which also an error gives back; false: another
 * process has it.
 */
extern BlockNumber step_region_blocks(const Step *step, int workers);
extern bool step_claim_region(const Step *step, BlockNumber region);
extern void step_leave_region(const Step *step, BlockNumber region);

/* No region, but claimed alike: who has the table vacuumed meanwhile. */
#define STEP_VACUUM PG_UINT16_MAX

/* The first block left at or after from; false: there is none. */
extern bool step_first_block(const Step *step, int64 from,
							 BlockNumber *block);

/*
 * The next blocks left: at most most of them, at or after *cursor, which moves
 * behind them, and before end; false: there is none.
 */
extern bool step_next_blocks(const Step *step, BlockNumber *cursor,
							 int64 end, int most, Blocks *blocks);

/* How many they are. */
extern int	blocks_count(const Blocks *blocks);

/* Cuts blocks off behind last, which is not before the first. */
extern void blocks_cut(Blocks *blocks, BlockNumber last);

/*
 * Takes blocks off the list, except those in again, ascending, and reads the
 * counts of the step again.
 */
extern void step_advance(Step *step, const Blocks *blocks, List *again,
						 const StepAdvance *advance);

#endif							/* TANDEM_STEP_BLOCKS_H */
