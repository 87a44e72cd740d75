/*
 * quarantine.h
 *		Rows on which up or down fails are recorded, and the write succeeds.
 *
 * A note is what is recorded of such a row.  A session that stores a version of a row
 * whose expression fails notes it in the same transaction, under the key that
 * the row has then.  So a row is noted also when another column of it, or its
 * key, is updated.  What was noted before a scan of the table began can be
 * removed at its end, but for the rows that the scan has noted again: no row
 * is lost that moves meanwhile.
 */
#ifndef TANDEM_QUARANTINE_H
#define TANDEM_QUARANTINE_H

#include "row/row_state.h"

/*
 * Calls work(arg) in a subtransaction.  Returns the error that it threw, in
 * the current memory context, or NULL.  Errors that are not caused by the row
 * (cancel, out of memory, deadlock, ...) are thrown.
 */
extern ErrorData *quarantine_try(void (*work) (void *), void *arg);

/*
 * Notes the loaded row with the extension's rights; a note of the same key is
 * renewed.  Waits for nobody.  Errors: the sync does not belong to this table.
 */
extern void quarantine_record(RowState *state, const CompiledRule *rule,
							  const char *direction, const ErrorData *error);

/*
 * Is there a note of this row of the state's table, under its present key?  One
 * committed since the transaction's snapshot counts: the fill notes a row
 * without changing it.
 */
extern bool quarantine_has_row(const RowState *state, const CompiledRule *rule,
							   TupleTableSlot *row);

/*
 * Removes the note of the loaded row's key, which is of another version: this
 * one has the NULL of its writer.  It stays if the table has no primary key.
 * Notes committed since the transaction's snapshot count.  Waits for nobody.
 */
extern void quarantine_forget(RowState *state, const CompiledRule *rule);

/* Returns the number of notes of a migration. */
extern int64 quarantine_count(int migration_id);

/*-------------------------------------------------------------------------
 * Notes that were there before: those of transactions that a snapshot, as
 * returned by quarantine_snapshot, shows as committed.
 *-------------------------------------------------------------------------
 */

/* Returns the present snapshot as text, palloc'd. */
extern char *quarantine_snapshot(void);

/* Returns the tables that have such notes of a migration, as OIDs. */
extern List *quarantine_relations(int migration_id, const char *before);

/* Returns the syncs of a migration that have such notes of a table, as ids. */
extern List *quarantine_syncs(int migration_id, Oid relation,
							  const char *before);

/* Returns the number of such notes of a table for a sync. */
extern int64 quarantine_count_before(int sync_id, Oid relation,
									 const char *before);

/* The columns that keys of a table were made of. */
typedef struct KeyShape
{
	List	   *columns;		/* attribute numbers; all exist */
	List	   *names;			/* as they were then */
} KeyShape;

/*
 * Returns the shapes of such notes, but for those of columns that were dropped
 * since.
 */
extern List *quarantine_key_shapes(int sync_id, Oid relation,
								   const char *before);

/* Is there a note with this key, in JSON? */
extern bool quarantine_has_key(int sync_id, Oid relation, const char *key);

/*
 * Removes such notes of a table: part number part, from 0, of parts about
 * equal ones.  A note that a writer is renewing stays.  With keep_changed,
 * those stay too that have a key of a column that was dropped or changed its
 * type since.
 */
extern void quarantine_remove(int sync_id, Oid relation, const char *before,
							  int64 part, int64 parts, bool keep_changed);

#endif							/* TANDEM_QUARANTINE_H */
