/*
 * quarantine.h
 *		Rows on which up or down fails are recorded, and the write succeeds.
 */
#ifndef TANDEM_QUARANTINE_H
#define TANDEM_QUARANTINE_H

#include "row/row_state.h"

typedef struct QuarantinedRow
{
	int64		id;
	int			sync;
	Oid			relation;
	char	   *key;			/* JSON text */
	bool		up;				/* up failed; else down */
} QuarantinedRow;

/*
 * Calls work(arg) in a subtransaction.  Returns the error that it threw, in
 * the current memory context, or NULL.  Errors that are not caused by the row
 * (cancel, out of memory, deadlock, ...) are thrown.
 */
extern ErrorData *quarantine_try(void (*work) (void *), void *arg);

/*
 * Records the loaded row with the extension's rights.  Errors: the sync does
 * not belong to this table.
 */
extern void quarantine_record(RowState *state, const CompiledRule *rule,
							  const char *direction, const ErrorData *error);

/*
 * Returns the quarantined rows of a migration as a list of QuarantinedRow, by
 * id.
 */
extern List *quarantine_list(int migration_id);

/* Returns the number of quarantined rows of a migration. */
extern int64 quarantine_count(int migration_id);

/* Deletes the record with this id, if it exists. */
extern void quarantine_remove(int64 id);

#endif							/* TANDEM_QUARANTINE_H */
