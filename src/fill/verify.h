/*
 * verify.h
 *		Recomputes rows and counts those that are wrong.
 */
#ifndef TANDEM_VERIFY_H
#define TANDEM_VERIFY_H

#include "access/xlogdefs.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/block.h"

#include "row/row_state.h"

/* number of rows shown with key and values, of each kind */
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
	int64		rows_lossy;		/* right or not, down(up(old)) is not old */
	int64		rows_new_only;	/* right, filled, and not what up gives: the
								 * old side does not say it */
	BlockNumber blocks_unread;	/* when the time was over */
	int			sampled;		/* number of rows in sample that are wrong, */
	int			sampled_lossy;	/* and of those that are only lossy */
	StringInfoData sample;		/* elements of a JSON array */
	List	   *wrong;			/* keys of some rows that are not right, and */
	List	   *lossy;			/* of some lossy ones, as JSON text */
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

/*
 * Checks all rows of a leaf table in the same way, and initializes counts.  It
 * takes the lock and the rights itself; search_path is that of a rule of the
 * migration.  It stops at the time until, or never if that is CLOCK_NEVER.  If
 * since is valid, only of blocks that were changed after that place in the WAL: a
 * heap, see heap_block_is_newer.
 * Returns false if the table was dropped.  Errors: it has lost its sync
 * trigger; the rules cannot be used.
 */
extern bool verify_leaf(Oid relid, const char *migration,
						const char *search_path, int64 until,
						XLogRecPtr since, VerifyResult *counts);

#endif							/* TANDEM_VERIFY_H */
