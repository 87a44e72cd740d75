/*
 * filled_leaf.h
 *		Rows of tandem.filled_leaf: partitions that were empty when they got the
 *		trigger of a sync.
 *
 * Every row of such a partition was written under the trigger, so none is
 * unfilled, as long as it is this trigger that is in force.
 */
#ifndef TANDEM_FILLED_LEAF_H
#define TANDEM_FILLED_LEAF_H

/*
 * Notes it of a rule.  place tells this database from any other that the OIDs
 * could come to: see fill_mark.h.  The caller has relid locked against writers.
 */
extern void filled_leaf_note(int sync_id, Oid relid, Oid trigger_oid,
							 const char *place);

/*
 * Whether it is noted, as of now.  For the trigger: without SQL and whatever
 * the rights of the current user.
 */
extern bool filled_leaf_is_noted(int sync_id, Oid relid, Oid trigger_oid,
								 const char *place);

/*
 * Forgets what is noted of a rule.  The caller changes the triggers in the same
 * transaction, which has every session look again.
 */
extern void filled_leaf_forget(int sync_id);

#endif							/* TANDEM_FILLED_LEAF_H */
