/*
 * window.c
 *		The pages at work: visited in turn until each has its new versions.
 */
#include "postgres.h"

#include "backfill/window.h"

#define BLOCKS_END ((int64) MaxBlockNumber + 1)

#define WINDOW_SMALLEST 256

static void
end_window(Window *window, Reclaim *reclaim)
{
	if (window->filled)
		reclaim_add(reclaim, window->first,
					(BlockNumber) (Min(window->end, BLOCKS_END) - 1));
	window->crowded = window->filled = false;
}

static void
begin_window(Window *window, BlockNumber first, int batch_blocks)
{
	int			blocks = batch_blocks * WINDOW_BATCHES;

	window->first = first;
	window->end = (int64) first +
		Min(Max(blocks, WINDOW_SMALLEST), WINDOW_LARGEST);
}

static BlocksLeft
claim_in_window(Window *window, const Step *step, int most,
				Blocks *blocks)
{
	BlocksLeft	left = step_next_blocks(step, &window->cursor, window->end,
										most, blocks);

	if (left == BLOCKS_CLAIMED || !window->crowded)
		return left;
	window->crowded = false;
	window->cursor = window->first;
	return step_next_blocks(step, &window->cursor, window->end, most,
							blocks);
}

BlocksLeft
window_next_blocks(Window *window, const Step *step, int most,
				   Blocks *blocks, Reclaim *reclaim)
{
	BlocksLeft	left;

	window->wrapped = false;
	if (claim_in_window(window, step, most, blocks) == BLOCKS_CLAIMED)
		return BLOCKS_CLAIMED;
	end_window(window, reclaim);
	left = step_next_blocks(step, &window->cursor, BLOCKS_END, most, blocks);
	if (left != BLOCKS_CLAIMED)
	{
		window->wrapped = true;
		window->cursor = 0;
		left = step_next_blocks(step, &window->cursor, BLOCKS_END, most,
								blocks);
	}
	if (left == BLOCKS_CLAIMED)
		begin_window(window, blocks->ranges[0].first, most);
	return left;
}
