/*
 * pacing.h
 *		How large the next batch is: as large as fits the time it may take.
 */
#ifndef TANDEM_PACING_H
#define TANDEM_PACING_H

typedef struct Pacing
{
	double		ms_per_block;	/* moving average; 0: nothing measured yet */
	int			blocks;			/* of the next batch */
} Pacing;

/* Starts with blocks blocks, or with a small first guess when that is 0. */
extern void pacing_start(Pacing *pacing, int blocks);

/* Learns that a batch of blocks blocks took ms, and that the next may take target_ms. */
extern void pacing_learn(Pacing *pacing, int blocks, double ms, int target_ms);

/* The next batch is smaller: somebody waited for the last. */
extern void pacing_shrink(Pacing *pacing);

#endif							/* TANDEM_PACING_H */
