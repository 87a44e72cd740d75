/*
 * switch_update.h
 *		Changes rows once a release is the current one, or changes them back.
 *
 * These are UPDATEs like those of the application: triggers fire, and subscribers
 * are sent them.
 */
#ifndef TANDEM_SWITCH_UPDATE_H
#define TANDEM_SWITCH_UPDATE_H

#include "storage/itemptr.h"
#include "utils/rel.h"

#include "catalog/after_switch.h"
#include "catalog/step.h"

typedef struct SwitchUpdateResult
{
	int64		rows_seen;
	int64		rows_changed;
	List	   *again;			/* blocks in which rows are left, each once,
								 * as OIDs */
	bool		locked;			/* some since others have locked them */
	TransactionId holder;		/* transaction that holds a lock, or invalid */
	ItemPointerData row;		/* row being changed, for failed_row_name, or
								 * invalid */
} SwitchUpdateResult;

/*
 * Changes the rows in these blocks of a leaf table that meet the condition; adds to
 * *result.  If the release is not the current one, changes back the rows that are as
 * the change would have made them of what they become.  Rows that another session has
 * locked are left, as are those whose values would take much memory at once.
 * Evaluates as the owner of the table.  Call in a transaction with rel locked in ROW
 * EXCLUSIVE mode.  Errors: those of the expressions and of the UPDATE; a row still
 * meets the condition.
 */
extern void switch_update_blocks(Relation rel, const AfterSwitch *change,
								 const Blocks *blocks,
								 SwitchUpdateResult *result);

/*
 * Is there a row in these blocks, as the active snapshot sees them, that is to be
 * changed?  Then sets *row to where it is.  rel is locked in ACCESS SHARE mode.
 */
extern bool switch_update_is_needed(Relation rel, const AfterSwitch *change,
									BlockNumber first, BlockNumber last,
									ItemPointer row);

/*
 * Throws an error if the changes, of one table and in one direction, would change this
 * row over and over: one makes of it what another looks for.  The active snapshot
 * sees the row.
 */
extern void switch_update_refuse_circle(Relation rel, List *changes, ItemPointer tid);

#endif							/* TANDEM_SWITCH_UPDATE_H */
