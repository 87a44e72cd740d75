/*
 * direct_update.h
 *		Updates rows without a statement: no user trigger fires, and a row that
 *		another session is at work on is left alone.
 */
#ifndef TANDEM_DIRECT_UPDATE_H
#define TANDEM_DIRECT_UPDATE_H

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

typedef enum DirectUpdateResult
{
	DIRECT_UPDATED,
	DIRECT_LOCKED,				/* somebody else is at work on the row */
	DIRECT_GONE					/* updated or deleted meanwhile */
} DirectUpdateResult;

typedef struct DirectUpdate
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *locked;		/* scratch of the row lock */
	TransactionId holder;		/* who had the last DIRECT_LOCKED row */
	bool		sent;			/* to every subscriber: see fill_origin.h */
	int64		indexed;		/* rows that took new entries in the indexes */
} DirectUpdate;

/*
 * Prepares updates of columns (by number) of rel, which the caller has locked
 * in ROW EXCLUSIVE mode.  An active snapshot is set.  Errors: the table is
 * published and has no replica identity, or subscribed and has no key.
 */
extern DirectUpdate *direct_update_begin(Relation rel, Bitmapset *columns);

/*
 * Replaces the row in stored, as a scan has left it there, by the one in slot,
 * with all that an UPDATE must do: constraints, generated columns, indexes,
 * foreign keys, logical decoding.
 */
extern DirectUpdateResult direct_update_row(DirectUpdate *update,
											TupleTableSlot *stored,
											TupleTableSlot *slot);

/* Locks the row as an UPDATE would, or says why not. */
extern DirectUpdateResult direct_update_lock(DirectUpdate *update,
											 ItemPointer tid);

/* Fires the constraint triggers that are not deferred, and cleans up. */
extern void direct_update_end(DirectUpdate *update);

#endif							/* TANDEM_DIRECT_UPDATE_H */
