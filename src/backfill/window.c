/*
 * window.c
 *		The pages at work: visited in turn until each has its new versions.
 *
 * A window is a region of the table that this process has for itself until it
 * is done, or another worker would visit its pages too soon.
 */
#include "postgres.h"

#include "backfill/window.h"

/* one of several workers visits a region in so many batches, unless they are too small */
#define BATCHES 4
#define SMALLEST_BATCH 64

int
window_largest_batch(const Window *window, const Step *step)
{
	int			region = step_region_blocks(step, window->workers);

	return window->workers > 1 ? Max(region / BATCHES, SMALLEST_BATCH) : region;
}

void
window_leave(Window *window, const Step *step)
{
	if (window->claimed)
		step_leave_region(step, window->region);
	window->claimed = window->crowded = window->filled = false;
}

static bool
take_blocks(Window *window, const Step *step, int most, Blocks *blocks)
{
	/* a batch that is tried again may have begun in another window */
	if (window->cursor < window->first || window->cursor > window->end)
		window->cursor = window->first;
	if (step_next_blocks(step, &window->cursor, window->end, most, blocks))
		return true;
	if (!window->crowded)
		return false;
	window->crowded = false;
	window->cursor = window->first;
	return step_next_blocks(step, &window->cursor, window->end, most, blocks);
}

/* The next region, from the cursor on, that has blocks left and nobody has. */
static BlocksLeft
enter_region(Window *window, const Step *step, int most, Blocks *blocks)
{
	BlockNumber size = step_region_blocks(step, window->workers);
	int64		from = window->cursor;
	bool		others = false;
	BlockNumber block;

	while (step_first_block(step, from, &block))
	{
		window->region = block / size;
		window->first = window->cursor = window->region * size;
		window->end = from = (int64) window->first + size;
		window->claimed = step_claim_region(step, window->region);
		/* what another has done between the look and the claim is gone */
		if (window->claimed && take_blocks(window, step, most, blocks))
			return BLOCKS_CLAIMED;
		others |= !window->claimed;
		window_leave(window, step);
	}
	return others ? BLOCKS_OF_OTHERS : BLOCKS_NONE;
}

BlocksLeft
window_next_blocks(Window *window, const Step *step, int most,
				   Blocks *blocks, Reclaim *reclaim)
{
	BlocksLeft	left;

	window->wrapped = false;
	if (window->claimed && take_blocks(window, step, most, blocks))
		return BLOCKS_CLAIMED;
	if (window->filled)
		reclaim_add(reclaim, window->first,
					(BlockNumber) Min(window->end - 1, MaxBlockNumber));
	window_leave(window, step);
	left = enter_region(window, step, most, blocks);
	if (left != BLOCKS_CLAIMED)
	{
		window->wrapped = true;
		window->cursor = 0;
		left = enter_region(window, step, most, blocks);
	}
	return left;
}
