/*
 * verify.h
 *		Recomputes rows and counts those that are wrong.
 */
#ifndef TANDEM_VERIFY_H
#define TANDEM_VERIFY_H

#include "lib/stringinfo.h"
#include "storage/block.h"

#include "row/row_state.h"

/* number of mismatches shown with key and values */
#define VERIFY_SAMPLE 10

typedef struct VerifyResult
{
	int64		rows_checked;
	int64		rows_unfilled;
	int64		rows_mismatched;
	int64		rows_quarantined;	/* their expression fails, and that is
									 * allowed */
	int64		rows_own;		/* in which a derived column has another value
								 * than up: for information */
	int			sampled;
	StringInfoData sample;		/* elements of a JSON array */
} VerifyResult;

/* Initializes a result, whose sample is in the current memory context. */
extern void verify_result_init(VerifyResult *result);

/* Returns the sample as a JSON array, palloc'd. */
extern char *verify_sample(const VerifyResult *result);

/*
 * Checks the rows of blocks first to last that the active snapshot sees, by
 * the rules of one migration, and adds to result.  Call as the owner of the
 * table, with the table locked in ACCESS SHARE mode.
 */
extern void verify_blocks(RowState *state, const char *migration,
						  BlockNumber first, BlockNumber last,
						  VerifyResult *result);

#endif							/* TANDEM_VERIFY_H */
