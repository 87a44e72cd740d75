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
	int64		rows_quarantined;
	int64		rows_unfilled;
	int64		rows_mismatched;
	const char *sample;			/* JSON array, or NULL */
	const char *blockers;		/* who has rows locked, or NULL */
	int			batch_blocks;
	double		seconds;		/* that it took */
} StepAdvance;

typedef enum BlocksLeft
{
	BLOCKS_CLAIMED,
	BLOCKS_OF_OTHERS,			/* some are left, all in other processes'
								 * hands */
	BLOCKS_NONE
} BlocksLeft;

/*
 * Claims the next blocks to work on until the end of the transaction: at most
 * most of them, at or after *cursor, which moves behind them, and before end.
 */
extern BlocksLeft step_next_blocks(const Step *step, BlockNumber *cursor,
								   int64 end, int most, BlockNumber *first,
								   BlockNumber *last);

/* Takes blocks first to last off the list, except those in again, ascending. */
extern void step_advance(Step *step, BlockNumber first, BlockNumber last,
						 List *again, const StepAdvance *advance);

/* Blocks left. */
extern int64 step_blocks_left(Step *step);

#endif							/* TANDEM_STEP_BLOCKS_H */
