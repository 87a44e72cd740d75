/*
 * row_retry.h
 *		Tries one row again that may be in quarantine.
 */
#ifndef TANDEM_ROW_RETRY_H
#define TANDEM_ROW_RETRY_H

#include "fill/direct_update.h"
#include "row/row_state.h"

/* A sync that has notes of the table. */
typedef struct RetriedSync
{
	int			id;
	List	   *shapes;			/* of the keys of these: KeyShape */
	bool		doubtful;		/* was a row seen that may be one of them, and
								 * cannot be told by its key? */
	int64		parts;			/* in which they are removed; 0 before */
} RetriedSync;

/* What the rows of a batch share. */
typedef struct RowRetry
{
	RowState   *state;
	const char *migration;		/* name; only its rules are tried */
	List	   *syncs;			/* RetriedSync */
	bool		only_notes;		/* write no row */
	DirectUpdate *update;
	TupleTableSlot *slot;		/* the stored row at hand */
	const char **computed;		/* "up" or "down", by index of the rule, if it
								 * has set that side of the row */
	bool	   *doubtful;		/* by index into syncs: as
								 * RetriedSync.doubtful, of this batch */
} RowRetry;

/*
 * Prepares to try rows, as the owner of the table, which is locked in ROW
 * EXCLUSIVE mode, with an active snapshot.  End with row_retry_end.
 */
extern void row_retry_begin(RowRetry *retry, RowState *state,
							const char *migration, List *syncs,
							bool only_notes);
extern void row_retry_end(RowRetry *retry);

/* Could the stored row in slot be in quarantine, by its values alone? */
extern bool row_retry_concerns(RowRetry *retry, TupleTableSlot *slot);

/*
 * Tries such a row: it is filled, or noted again, or is as it should be.  One
 * that is locked by another session is noted, too.  Uses the current memory
 * context.  Errors: any error on the row other than one of its expression.
 */
extern void row_retry(RowRetry *retry, TupleTableSlot *slot);

#endif							/* TANDEM_ROW_RETRY_H */
