/*
 * direct_update.h
 *		An UPDATE without a statement, and which subscribers it is sent to.
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
 * Whether the rows that a fill of the table writes are sent to every
 * subscriber; false: not to those with origin = none, which fill their own.
 * By tandem.send_fill, and by the subscriptions as they are now.
 */
extern bool fill_is_sent(Oid relid);

/*
 * What is written between the two is marked as not to be sent.  Returns what
 * fill_origin_leave restores; the caller sees to that also when an error is
 * raised in between, since no end of a transaction does.
 */
extern uint16 fill_origin_enter(void);
extern void fill_origin_leave(uint16 before);

/*
 * Errors: up of a column of rel is volatile, and a fill that is not sent would
 * give each server a value of its own.
 */
COMPAT_NORETURN extern void fill_refuse_volatile(Relation rel,
												 const char *column);

/*
 * The same, for a fill that is not sent, if the loaded row is unfilled for a
 * rule whose up is volatile, or has one as the rule with id forced.
 */
extern void fill_check_repeatable(const RowState *state, int forced);

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
	bool		sent;			/* to every subscriber: see fill_is_sent */
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
