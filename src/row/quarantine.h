/*
 * quarantine.h
 *		Rows whose transform raises: kept out of the writer's way, and
 *		noted.
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
	bool		up;				/* up raised; else down */
} QuarantinedRow;

/*
 * Calls work(arg) in a subtransaction.  Returns the error it raised, in the
 * current memory context, or NULL.  Errors that say nothing of the row
 * (cancelled, out of memory, deadlock, ...) are raised.
 */
extern ErrorData *quarantine_try(void (*work) (void *), void *arg);

/* Notes the loaded row; written with the extension's rights. */
extern void quarantine_record(RowState *state, const CompiledRule *rule,
							  const char *direction, const ErrorData *error);

/* The rows in quarantine of a migration, of struct QuarantinedRow. */
extern List *quarantine_list(int migration_id);

extern int64 quarantine_count(int migration_id);
extern void quarantine_remove(int64 id);

#endif							/* TANDEM_QUARANTINE_H */
