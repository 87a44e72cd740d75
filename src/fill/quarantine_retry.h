/*
 * quarantine_retry.h
 *		Tries the rows in quarantine again.
 */
#ifndef TANDEM_QUARANTINE_RETRY_H
#define TANDEM_QUARANTINE_RETRY_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Tries notes (of QuarantinedRow) of the migration again, from number first on,
 * for about target_ms, in the transaction of the caller, who commits.  Those
 * whose rows are right now, or gone, leave the quarantine; adds to *left how
 * many do not: their rows raise still, or are locked.  Returns the number of
 * the note to go on with.  Errors: what a row raises beside its transform, with
 * a context line that names it.
 */
extern int	quarantine_retry(const Migration *migration, List *notes, int first,
							 int target_ms, int64 *left);

#endif							/* TANDEM_QUARANTINE_RETRY_H */
