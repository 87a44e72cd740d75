/*
 * batch.h
 *		One batch: a range of blocks, filled in one transaction.
 */
#ifndef TANDEM_BATCH_H
#define TANDEM_BATCH_H

#include "storage/itemptr.h"

#include "catalog/step.h"
#include "row/row_state.h"

/*-------------------------------------------------------------------------
 * Names the row that a batch has failed at.
 *
 * Not while the error is raised: to write a key runs the output functions of
 * its types, whose own error would take the place of the first.
 *-------------------------------------------------------------------------
 */

/*
 * Adds to the context of an error, whose (sub)transaction has been rolled
 * back, which row of the table it was: by its key, or where that cannot be
 * written, by its place.
 */
extern void failed_row_name(ErrorData *error, Oid relid, ItemPointer tid);

typedef struct BatchResult
{
	int64		rows_done;		/* in blocks that need no other visit */
	int64		rows_filled;
	int64		rows_indexed;	/* of these, with new entries in the indexes */
	int64		rows_quarantined;
	List	   *again;			/* blocks to visit again, ascending; as OIDs */
	int			locked;			/* those of them with a row that was locked */
	int			crowded;		/* those without room for their new versions */
	TransactionId holder;		/* who had one of them, or invalid */
	ItemPointerData row;		/* being filled, for failed_row_name; invalid:
								 * none is */
	bool		waited_for;		/* somebody waits for a row of the batch */
	BlockNumber last;			/* then the last block that was filled */
} BatchResult;

/*
 * Fills the unfilled rows of blocks, for all rules of state; ends early, after
 * a whole block, when somebody waits for its rows.  Runs as the owner of the
 * table in a transaction with an active snapshot; it is locked in ROW EXCLUSIVE
 * mode.  Errors: whatever up, constraints or indexes raise; result->row is then
 * the row.
 */
extern void batch_fill(RowState *state, const Blocks *blocks,
					   BatchResult *result);

typedef enum RetryResult
{
	RETRY_RIGHT,				/* the row needs nothing more, or is gone */
	RETRY_LOCKED,
	RETRY_RAISES				/* its transform still raises */
} RetryResult;

/*
 * Computes again the side of the row at tid that a quarantine left NULL, for
 * the rule with id rule_id: the new side if up, else the old one.  A side that
 * has been written since stays.
 */
extern RetryResult batch_retry_row(RowState *state, ItemPointer tid,
								   int rule_id, bool up);

/* Columns of a stored row, as far as the access method lets it be seen. */
extern int	stored_columns(TupleTableSlot *slot);

#endif							/* TANDEM_BATCH_H */
