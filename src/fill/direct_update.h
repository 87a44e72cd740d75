/*
 * direct_update.h
 *		Updates rows without a statement, and decides which subscribers see
 *		that.
 */
#ifndef TANDEM_DIRECT_UPDATE_H
#define TANDEM_DIRECT_UPDATE_H

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "row/row_state.h"

/*
 * Are the rows written by a fill of the table sent to all subscribers?  If
 * false, those with origin = none do not get them, and fill their own.
 * Depends on tandem.send_fill and on the current subscriptions.
 */
extern bool fill_is_sent(Oid relid);

/*
 * Changes written between fill_origin_enter and fill_origin_leave are marked
 * as not to be sent.  The caller passes the returned value to
 * fill_origin_leave, also after an error (PG_FINALLY): the end of a
 * transaction does not do it.
 */
extern uint16 fill_origin_enter(void);
extern void fill_origin_leave(uint16 before);

/*
 * Throws an error: up of a column of rel is volatile, and a fill that is not
 * sent would compute a different value on each server.
 */
COMPAT_NORETURN extern void fill_refuse_volatile(Relation rel,
												 const char *column);

/*
 * Throws the same error if a fill that is not sent would evaluate a volatile
 * up: the loaded row is unfilled for such a rule, or it is the rule with id
 * forced.
 */
extern void fill_check_repeatable(const RowState *state, int forced);

typedef enum DirectUpdateResult
{
	DIRECT_UPDATED,
	DIRECT_LOCKED,				/* another session has locked the row */
	DIRECT_GONE					/* the row was updated or deleted meanwhile */
} DirectUpdateResult;

typedef struct DirectUpdate
{
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *locked;		/* scratch slot for the row lock */
	TransactionId holder;		/* who held the last DIRECT_LOCKED row */
	bool		sent;			/* to all subscribers; see fill_is_sent */
	int64		indexed;		/* number of rows with new index entries */
	Bitmapset  *dropped;		/* attribute numbers of dropped columns */
} DirectUpdate;

/*
 * Prepares to update columns (attribute numbers) of rel, which the caller has
 * locked in ROW EXCLUSIVE mode.  There must be an active snapshot.  End with
 * direct_update_end.  Errors: the table is published and has no replica
 * identity, or is subscribed and has no key.
 */
extern DirectUpdate *direct_update_begin(Relation rel, Bitmapset *columns);

/*
 * Replaces the row in stored, as returned by a scan, with the row in slot.
 * Does all that an UPDATE does: constraints, generated columns, indexes,
 * foreign keys and logical decoding.  Sets dropped columns of slot to NULL.
 */
extern DirectUpdateResult direct_update_row(DirectUpdate *update,
											TupleTableSlot *stored,
											TupleTableSlot *slot);

/*
 * Locks the row as an UPDATE would, without waiting.  DIRECT_UPDATED means
 * locked.
 */
extern DirectUpdateResult direct_update_lock(DirectUpdate *update,
											 ItemPointer tid);

/* Fires the immediate constraint triggers and frees the resources. */
extern void direct_update_end(DirectUpdate *update);

#endif							/* TANDEM_DIRECT_UPDATE_H */
