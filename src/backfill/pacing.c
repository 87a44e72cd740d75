/*
 * pacing.c
 *		How large the next batch is.
 *
 * A batch grows slowly, since the next blocks may be dearer, and shrinks at
 * once: somebody may be waiting for a row that it has locked.
 */
#include "postgres.h"

#include "backfill/pacing.h"

#define FIRST_BLOCKS 16
#define MOST_BLOCKS 8192
#define GROWTH 1.2
#define WEIGHT_OF_LAST 0.3

void
pacing_start(Pacing *pacing, int blocks)
{
	pacing->ms_per_block = 0;
	pacing->blocks = blocks > 0 ? Min(blocks, MOST_BLOCKS) : FIRST_BLOCKS;
}

void
pacing_learn(Pacing *pacing, int blocks, double ms, int target_ms)
{
	double		last = ms / Max(blocks, 1);
	double		fitting;

	pacing->ms_per_block = pacing->ms_per_block == 0 ? last
		: WEIGHT_OF_LAST * last + (1 - WEIGHT_OF_LAST) * pacing->ms_per_block;
	fitting = target_ms / Max(pacing->ms_per_block, 0.0001);
	fitting = Min(fitting, Max(pacing->blocks * GROWTH, pacing->blocks + 1));
	pacing->blocks = (int) Max(1, Min(fitting, MOST_BLOCKS));
}

void
pacing_shrink(Pacing *pacing)
{
	pacing->blocks = Max(pacing->blocks / 4, 1);
}
