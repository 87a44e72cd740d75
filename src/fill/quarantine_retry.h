/*
 * quarantine_retry.h
 *		Tries quarantined rows again.
 */
#ifndef TANDEM_QUARANTINE_RETRY_H
#define TANDEM_QUARANTINE_RETRY_H

#include "catalog/migration.h"

/*-------------------------------------------------------------------------
 * The retry of one table: a scan of all its rows, in batches.
 *
 * No row is looked for by the key in its note: a key may have been updated,
 * and its column renamed or dropped, since.  A row is tried where the scan
 * finds it, and noted again if its expression still fails.  At the end of the
 * scan every row has been seen, so all notes that were there before it, and
 * that it has not renewed, are of rows that are right or gone.
 *-------------------------------------------------------------------------
 */

typedef struct QuarantineRetry QuarantineRetry;

/*
 * Prepares the retry of the table's notes that snapshot before shows (see
 * quarantine_snapshot), in the current memory context.
 */
extern QuarantineRetry *quarantine_retry_begin(const Migration *migration,
											   Oid relation,
											   const char *before);

/*
 * Does the next batch, of about target_ms, in the caller's subtransaction.
 * Rows whose expression works now are filled; a row that another session has
 * locked keeps its note.  Returns false after the last batch.  Errors: any
 * error on a row other than one of its expression.
 */
extern bool quarantine_retry_batch(QuarantineRetry *retry, int target_ms);

/*
 * Handles the error of a batch that has been rolled back.  Returns true if the
 * error was caused by another session, and the next batch can go on.
 * Otherwise adds the row at which the batch failed and a hint.
 */
extern bool quarantine_retry_passes(QuarantineRetry *retry, ErrorData *error);

/* Returns the number of rows that the last batch has looked at. */
extern int64 quarantine_retry_rows(const QuarantineRetry *retry);

/* Returns the number of blocks that are done, and in *total that of all. */
extern int64 quarantine_retry_blocks(const QuarantineRetry *retry,
									 int64 *total);

#endif							/* TANDEM_QUARANTINE_RETRY_H */
