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
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/compat.h"
#include "rule/fill_mark.h"
#include "rule/sync_trigger.h"

static char *
fill_marks_prefix(void)
{
	return psprintf(UINT64_FORMAT "/%u/", GetSystemIdentifier(), MyDatabaseId);
}

char *
fill_mark_file(Relation rel)
{
	return psprintf("%s%u", fill_marks_prefix(), compat_relation_file(rel));
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

char *
fill_mark_make(List *relids, List *new_columns)
{
	StringInfoData marks;
	ListCell   *lc;

	initStringInfo(&marks);
	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		bool		exact = all_unfilled_rows_are_short(rel);
		ListCell   *name;

		foreach(name, new_columns)
			exact = exact && fill_mark_column_is_new(RelationGetRelid(rel),
													 lfirst(name));
		if (exact)
			appendStringInfo(&marks, "%s%u",
							 marks.len ? "," : fill_marks_prefix(),
							 compat_relation_file(rel));
		table_close(rel, NoLock);
	}
	return marks.data;
}

/* Do the marks belong to this database, and do they contain the entry? */
static bool
fill_marks_contain(const char *marks, const char *entry)
{
	char	   *prefix = fill_marks_prefix();
	size_t		length = strlen(entry);
	const char *p;

	if (strncmp(marks, prefix, strlen(prefix)) != 0)
		return false;
	for (p = marks + strlen(prefix); p; p = strchr(p, ','))
	{
		p += (*p == ',');
		if (strncmp(p, entry, length) == 0 &&
			(p[length] == ',' || p[length] == '\0'))
			return true;
	}
	return false;
}

char *
fill_mark_bind(const char *marks, List *relids)
{
	StringInfoData bound;
	ListCell   *lc;

	initStringInfo(&bound);
	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);
		Oid			file = compat_relation_file(rel);
		SyncTriggerRow trigger;

		if (fill_marks_contain(marks, psprintf("%u", file)) &&
			sync_trigger_row(lfirst_oid(lc), &trigger))
			appendStringInfo(&bound, "%s%u:%u",
							 bound.len ? "," : fill_marks_prefix(), file,
							 trigger.oid);
		table_close(rel, NoLock);
	}
	return bound.data;
}

char *
fill_mark_filled(List *relids)
{
	StringInfoData filled;
	ListCell   *lc;

	initStringInfo(&filled);
	foreach(lc, relids)
	{
		SyncTriggerRow trigger;

		if (sync_trigger_row(lfirst_oid(lc), &trigger))
			appendStringInfo(&filled, "%s*:%u",
							 filled.len ? "," : fill_marks_prefix(), trigger.oid);
	}
	return filled.data;
}

/* Has the trigger been recorded to leave no unfilled row in the table? */
static bool
leaf_is_known_filled(const char *marks, int sync_id, Oid relid,
					 Oid trigger_oid)
{
	return fill_marks_contain(marks, psprintf("*:%u", trigger_oid)) ||
		filled_leaf_is_noted(sync_id, relid, trigger_oid, fill_marks_prefix());
}

bool
fill_mark_is_filled(const SyncRule *rule, List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		SyncTriggerRow trigger;

		if (!sync_trigger_row(lfirst_oid(lc), &trigger) ||
			!leaf_is_known_filled(rule->fill_marks, rule->id, lfirst_oid(lc),
								  trigger.oid))
			return false;
	}
	return true;
}

bool
fill_mark_note_empty(const SyncRule *rule, Relation rel, Oid trigger_oid)
{
	if (rel->rd_tableam != GetHeapamTableAmRoutine() ||
		RelationGetNumberOfBlocks(rel) > 0)
		return false;
	filled_leaf_note(rule->id, RelationGetRelid(rel), trigger_oid,
					 fill_marks_prefix());
	return true;
}

bool
fill_mark_leaf_is_filled(const SyncRule *rule, Relation rel, Oid trigger_oid)
{
	return rel->rd_tableam == GetHeapamTableAmRoutine() &&
		leaf_is_known_filled(rule->fill_marks, rule->id, RelationGetRelid(rel),
							 trigger_oid);
}

bool
fill_mark_is_exact(const SyncRule *rule, Relation rel, Oid trigger_oid)
{
	return fill_mark_leaf_is_filled(rule, rel, trigger_oid) ||
		(rel->rd_tableam == GetHeapamTableAmRoutine() &&
		 fill_marks_contain(rule->fill_marks, psprintf("%u:%u", compat_relation_file(rel), trigger_oid)));
}
