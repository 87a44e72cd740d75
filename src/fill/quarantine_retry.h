/*
 * quarantine_retry.h
 *		Tries quarantined rows again.
 */
#ifndef TANDEM_QUARANTINE_RETRY_H
#define TANDEM_QUARANTINE_RETRY_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Tries quarantined rows of the migration again: notes (a list of
 * QuarantinedRow) from index first on, for about target_ms, in the caller's
 * transaction.  Rows that are filled now, or gone, leave the quarantine.
 * *left is increased by the number of notes that stay, because the row still
 * fails or is locked.  Returns the index of the next note to try.  Errors: any
 * error on a row other than one of its expression, with a context line that
 * names the row.
 */
extern int	quarantine_retry(const Migration *migration, List *notes, int first,
							 int target_ms, int64 *left);

#endif							/* TANDEM_QUARANTINE_RETRY_H */
