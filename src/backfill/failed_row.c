/*
 * failed_row.c
 *		Names the row that a batch has failed at.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "backfill/failed_row.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/quoting.h"
#include "core/subtransaction.h"
#include "sync/relation_rules.h"
#include "sync/row_key.h"
#include "sync/rule_args.h"

typedef struct FailedRow
{
	Oid			relid;
	ItemPointer tid;
	char	   *key;			/* NULL: the row or its table is gone */
} FailedRow;

/* The columns that name a row where there is no primary key. */
static List *
old_columns(Relation rel)
{
	Trigger    *trigger = relation_sync_trigger(rel);

	if (trigger == NULL)
		return NIL;
	return ((SyncRule *) linitial(rule_args_decode(trigger)))->old_columns;
}

static void
read_key(void *arg)
{
	FailedRow  *row = arg;
	Relation	rel = try_table_open(row->relid, AccessShareLock);
	AuthorityScope scope;
	TupleTableSlot *slot;

	if (rel == NULL)
		return;
	PushActiveSnapshot(GetLatestSnapshot());
	authority_enter_owner(&scope, rel, NULL);
	slot = table_slot_create(rel, NULL);
	if (table_tuple_fetch_row_version(rel, row->tid, GetActiveSnapshot(), slot))
		row->key = row_key_text(rel, slot,
								row_key_columns(rel, old_columns(rel)));
	ExecDropSingleTupleTableSlot(slot);
	authority_leave(&scope);
	PopActiveSnapshot();
	table_close(rel, NoLock);
}

void
failed_row_name(ErrorData *error, Oid relid, ItemPointer tid)
{
	FailedRow	row = {relid, tid, NULL};
	char	   *table = quoting_find_name(relid);

	/* an error of this is none of the run's: the place will do */
	(void) subtransaction_try(read_key, &row);
	if (row.key == NULL)
		row.key = psprintf("at (%u,%u)", ItemPointerGetBlockNumber(tid),
						   ItemPointerGetOffsetNumber(tid));
	error->context = psprintf("%s%sfilling row %s of table \"%s\"",
							  error->context ? error->context : "",
							  error->context ? "\n" : "", row.key,
							  table ? table : "(dropped)");
}
