/*
 * fill_mark.c
 *		Determines whether a row has been given its new columns.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_attribute.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/compat.h"
#include "rule/fill_mark.h"
#include "rule/sync_trigger.h"

static char *
fill_marks_place(void)
{
	return psprintf(UINT64_FORMAT "/%u/", GetSystemIdentifier(), MyDatabaseId);
}

char *
fill_mark_file(Relation rel)
{
	return psprintf("%s%u", fill_marks_place(), compat_relation_file(rel));
}

/*
 * A row of pg_attribute that this transaction has merely altered has its xid,
 * too.  But then an older, committed version is still there, since it cannot
 * be removed before this transaction ends.  So look at all versions.
 */
bool
fill_mark_column_is_new(Oid relid, const char *column)
{
	Relation	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		is_new;

	ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(get_attnum(relid, column)));
	scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true,
							  SnapshotAny, 2, key);
	is_new = true;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		if (!TransactionIdIsCurrentTransactionId(xmin) &&
			(HeapTupleHeaderXminFrozen(tuple->t_data) ||
			 TransactionIdDidCommit(xmin)))
			is_new = false;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return is_new;
}

/*
 * Has this transaction written rows of the table?  Rows written after the
 * column was added and before the sync have full length although they are
 * unfilled.
 */
static bool
transaction_may_have_written(Relation rel)
{
	PgStat_TableXactStatus *counts;

	/* sets pgstat_info again if the relcache has dropped it */
	if (!pgstat_should_count_relation(rel))
		return true;
	for (counts = rel->pgstat_info->trans; counts; counts = counts->upper)
	{
		if (counts->tuples_inserted > 0 || counts->tuples_updated > 0)
			return true;
	}
	return false;
}

/* A table that this transaction created or rewrote has no short rows. */
static bool
all_unfilled_rows_are_short(Relation rel)
{
	return rel->rd_tableam == GetHeapamTableAmRoutine() &&
		rel->rd_createSubid == InvalidSubTransactionId &&
		!compat_is_rewritten(rel) &&
		!transaction_may_have_written(rel);
}

static bool
exact_test_will_hold(Relation rel, List *new_columns)
{
	ListCell   *lc;

	if (!all_unfilled_rows_are_short(rel))
		return false;
	foreach(lc, new_columns)
	{
		if (!fill_mark_column_is_new(RelationGetRelid(rel), lfirst(lc)))
			return false;
	}
	return true;
}

List *
fill_mark_exact_tables(List *relids, List *new_columns)
{
	List	   *exact = NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);

		if (exact_test_will_hold(rel, new_columns))
			exact = lappend_oid(exact, lfirst_oid(lc));
		table_close(rel, NoLock);
	}
	return exact;
}

/*
 * Stores a mark for each table that has a trigger.  Sessions that have compiled
 * its rules look again.
 */
static void
set_marks(const SyncRule *rule, List *relids, bool exact)
{
	List	   *marks = NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		SyncTriggerRow trigger;

		if (sync_trigger_row(lfirst_oid(lc), &trigger))
		{
			FillMark   *mark = palloc(sizeof(FillMark));

			mark->relation = lfirst_oid(lc);
			mark->trigger = trigger.oid;
			mark->file = exact ? compat_relation_file(rel) : InvalidOid;
			marks = lappend(marks, mark);
		}
		CacheInvalidateRelcache(rel);
		table_close(rel, NoLock);
	}
	fill_mark_store(rule->id, marks, fill_marks_place());
}

void
fill_mark_set_exact(const SyncRule *rule, List *relids)
{
	set_marks(rule, relids, true);
}

void
fill_mark_set_filled(const SyncRule *rule, List *relids)
{
	set_marks(rule, relids, false);
}

bool
fill_mark_is_filled(const SyncRule *rule, List *relids)
{
	char	   *place = fill_marks_place();
	ListCell   *lc;

	foreach(lc, relids)
	{
		SyncTriggerRow trigger;
		FillMark	mark;

		if (!sync_trigger_row(lfirst_oid(lc), &trigger) ||
			!fill_mark_read(rule->id, lfirst_oid(lc), place, &mark) ||
			mark.trigger != trigger.oid || OidIsValid(mark.file))
			return false;
	}
	return true;
}

bool
fill_mark_note_empty(const SyncRule *rule, Relation rel, Oid trigger_oid)
{
	FillMark	mark = {RelationGetRelid(rel), trigger_oid, InvalidOid};

	if (rel->rd_tableam != GetHeapamTableAmRoutine() ||
		RelationGetNumberOfBlocks(rel) > 0)
		return false;
	fill_mark_store(rule->id, list_make1(&mark), fill_marks_place());
	return true;
}

Unfilled
fill_mark_unfilled(const SyncRule *rule, Relation rel, Oid trigger_oid)
{
	FillMark	mark;

	if (rel->rd_tableam != GetHeapamTableAmRoutine() ||
		!fill_mark_read(rule->id, RelationGetRelid(rel), fill_marks_place(),
						&mark) ||
		mark.trigger != trigger_oid)
		return UNFILLED_UNKNOWN;
	if (!OidIsValid(mark.file))
		return UNFILLED_NONE;
	return mark.file == compat_relation_file(rel) ? UNFILLED_SHORT
		: UNFILLED_UNKNOWN;
}
