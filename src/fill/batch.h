/*
 * batch.h
 *		Fills the rows of a range of blocks in one transaction.
 */
#ifndef TANDEM_BATCH_H
#define TANDEM_BATCH_H

#include "storage/itemptr.h"

#include "catalog/step.h"
#include "row/row_state.h"

/*-------------------------------------------------------------------------
 * Describing the row at which a batch failed.
 *
 * This must wait until the error has been caught and the transaction rolled
 * back.  Producing the key runs the output functions of its types, and an
 * error in these would replace the first one.
 *-------------------------------------------------------------------------
 */

/*
 * Adds a context line to the error that tells the row: its key, or its ctid if
 * the key cannot be read.  doing is what was done with it, "filling".  The
 * (sub)transaction of the error must have been rolled back.
 */
extern void failed_row_name(ErrorData *error, const char *doing, Oid relid,
							ItemPointer tid);

/*
 * Rows of a chunk that a process has tried and put into quarantine.  A page is
 * visited several times, and such a row is found unfilled each time.  Once a
 * batch has been rolled back, so are its notes: then forget all.
 */
typedef struct TriedRows TriedRows;

/* Returns an empty set in the current memory context. */
extern TriedRows *tried_rows_create(void);
extern void tried_rows_forget(TriedRows *tried);

/* number of rows that a step samples */
#define BATCH_SAMPLE 3

/* What a batch is to do, besides filling unfilled rows. */
typedef struct BatchOrder
{
	const char *migration;		/* whose rules count, and are computed again */
	bool		refill;			/* compute rows again where neither up nor
								 * down agrees */
	List	   *refill_derived; /* with refill, also where these derived
								 * columns have values of their own: ids of
								 * their syncs */
	bool		guarded;		/* an expression that only judges a row may
								 * fail */
	int			sample;			/* number of lossy rows still to be sampled */
	TriedRows  *tried;			/* rows that it adds to, and leaves out */
} BatchOrder;

typedef struct BatchResult
{
	int64		rows_done;		/* in blocks that need no other visit */
	int64		rows_filled;
	int64		rows_lossy;		/* of rows_filled, those whose old value down
								 * does not give back */
	List	   *lossy;			/* keys of some of these, as JSON text */
	bool		judging;		/* is an expression only judging the row?  An
								 * error then asks for guarded */
	int64		rows_indexed;	/* of rows_filled, with new index entries */
	int64		rows_quarantined;
	List	   *again;			/* blocks to visit again, ascending, as OIDs */
	List	   *again_filled;	/* the share of the rows of each of these that
								 * this visit has filled, in thousandths */
	int			locked;			/* blocks of these that have a locked row */
	int			crowded;		/* blocks without room for new row versions */
	TransactionId holder;		/* transaction that holds a lock, or invalid */
	ItemPointerData row;		/* row being filled, for failed_row_name, or
								 * invalid */
	bool		waited_for;		/* does a session wait for a row of the batch? */
	BlockNumber last;			/* if so, the last block that was filled */
} BatchResult;

/*
 * Fills the unfilled rows of blocks for all rules of state, but for those that
 * were tried before.  With refill, also computes the new side of the migration's
 * rules again where neither up nor down agrees with the row, without firing
 * triggers.  If a session waits for a row of the batch, it ends early after a
 * whole block.  Call as
 * the owner of the table, in a transaction with an active snapshot and the
 * table locked in ROW EXCLUSIVE mode.  Errors: those of up, of constraints and
 * of indexes; result->row tells the row.
 */
extern void batch_fill(RowState *state, const BatchOrder *order,
					   const Blocks *blocks, BatchResult *result);

/* Returns the attribute numbers of the columns that a fill may write. */
extern Bitmapset *batch_columns(RelationRules *rules);

/* Records in its step the error of a batch, with its context. */
extern void batch_record_error(const ErrorData *error, int step_id);

/* Returns who is in the way of a batch, for its step, palloc'd. */
extern char *batch_rows_locked_by(TransactionId holder);

/*
 * Sets, for the batch's transaction, how long it waits for others, and that its
 * commit does not wait for the disk.  Call before the table is locked.
 */
extern void batch_apply_settings(void);

/*
 * Is a session waiting for this transaction, that is for a row that it wrote?
 */
extern bool batch_is_waited_for(void);

/*
 * Returns the number of columns that a stored row has.  If the access method
 * is not heap, that is the number of columns of the table.
 */
extern int	stored_columns(TupleTableSlot *slot);

#endif							/* TANDEM_BATCH_H */
