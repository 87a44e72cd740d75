/*
 * switch_update.c
 *		Changes rows once a release is the current one, or changes them back.
 *
 * Conditions and new values are evaluated here, as up and down are; the UPDATE that
 * stores them contains no text of a user.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "fill/apply_grace.h"
#include "fill/direct_update.h"
#include "fill/switch_update.h"
#include "row/quarantine.h"
#include "rule/expression.h"

/* A generated column, which a row that is not stored yet does not have. */
typedef struct Generated
{
	AttrNumber	attnum;
	ExprState  *value;
} Generated;

/* Columns of the leaf table, and what they are set to. */
typedef struct Setting
{
	AttrNumber	attnum;
	Form_pg_attribute att;
	Node	   *parsed_set;
	Node	   *parsed_back;	/* on the way back */
	ExprState  *value;			/* in the direction that is asked for */
	ExprState  *set;			/* on the way back: what the change makes of
								 * it */
} Setting;

typedef struct SwitchUpdate
{
	Relation	rel;
	const AfterSwitch *change;
	EState	   *estate;
	ExprContext *econtext;
	Node	   *parsed_condition;
	ExprState  *condition;
	int			nsettings;
	Setting    *settings;
	NullableDatum *values;		/* of the row at hand, one for each setting */
	List	   *generated;		/* of Generated */
	Size		kept;			/* bytes of values that are kept until the
								 * rows are stored */
	TupleTableSlot *slot;		/* the row at hand, and */
	TupleTableSlot *back;		/* what it would be changed back to */
} SwitchUpdate;

/*-------------------------------------------------------------------------
 * The expressions of a leaf table.
 *-------------------------------------------------------------------------
 */

static AttrNumber
number_of_column(Relation rel, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\", which is to be changed after the switch, does not exist",
						name, RelationGetRelationName(rel)),
				 errhint("What was added with tandem.add_after_switch names it: undo what has become of the column, or end the migration.")));
	return attnum;
}

/* Parses the texts as every session does: as the owner, under the pinned path. */
static void
parse_texts(SwitchUpdate *update)
{
	const AfterSwitch *change = update->change;
	AuthorityScope scope;

	authority_enter_owner(&scope, update->rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	update->parsed_condition = expression_parse_definition(change->condition, update->rel,
														   EXPRESSION_ALIAS, "condition", NULL);
	for (int i = 0; i < update->nsettings; i++)
	{
		Setting    *setting = &update->settings[i];
		AttrNumber	attnum = number_of_column(update->rel, list_nth(change->columns, i));

		setting->attnum = attnum;
		setting->att = TupleDescAttr(RelationGetDescr(update->rel), attnum - 1);
		setting->parsed_set = expression_parse(list_nth(change->set, i), update->rel,
											   EXPRESSION_ALIAS, attnum, "set");
		if (!change->switched)
			setting->parsed_back = expression_parse(list_nth(change->back, i), update->rel,
													EXPRESSION_ALIAS, attnum, "back");
	}
	authority_leave(&scope);
}

/* Call within the scope in which the expressions are evaluated. */
static void
prepare_generated(SwitchUpdate *update)
{
	TupleDesc	desc = RelationGetDescr(update->rel);

	update->generated = NIL;
	for (int i = 0; i < desc->natts; i++)
	{
		Generated  *generated;

		if (TupleDescAttr(desc, i)->attgenerated != ATTRIBUTE_GENERATED_STORED)
			continue;
		generated = palloc(sizeof(Generated));
		generated->attnum = i + 1;
		generated->value = ExecPrepareExpr((Expr *) build_column_default(update->rel, i + 1),
										   update->estate);
		update->generated = lappend(update->generated, generated);
	}
}

/* Call within the scope in which the expressions are evaluated. */
static void
prepare_expressions(SwitchUpdate *update)
{
	bool		forward = update->change->switched;

	update->condition = ExecPrepareExpr((Expr *) compat_expand_virtual(update->parsed_condition, update->rel),
										update->estate);
	for (int i = 0; i < update->nsettings; i++)
	{
		Setting    *setting = &update->settings[i];

		setting->value = ExecPrepareExpr((Expr *) (forward ? setting->parsed_set : setting->parsed_back),
										 update->estate);
		setting->set = forward ? NULL
			: ExecPrepareExpr((Expr *) setting->parsed_set, update->estate);
	}
	prepare_generated(update);
}

/*
 * Begins, and enters the scope in which the expressions are evaluated.  There is an
 * active snapshot.
 */
static void
begin_switch_update(SwitchUpdate *update, Relation rel,
					const AfterSwitch *change, AuthorityScope *scope)
{
	int			count = list_length(change->columns);

	memset(update, 0, sizeof(SwitchUpdate));
	update->rel = rel;
	update->change = change;
	update->nsettings = count;
	update->settings = palloc0(sizeof(Setting) * count);
	update->values = palloc0(sizeof(NullableDatum) * count);
	parse_texts(update);
	authority_enter_owner(scope, rel, change->search_path);
	update->estate = CreateExecutorState();
	update->econtext = GetPerTupleExprContext(update->estate);
	update->slot = table_slot_create(rel, NULL);
	update->back = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	prepare_expressions(update);
}

static void
end_switch_update(SwitchUpdate *update, AuthorityScope *scope)
{
	ExecDropSingleTupleTableSlot(update->slot);
	ExecDropSingleTupleTableSlot(update->back);
	FreeExecutorState(update->estate);
	authority_leave(scope);
}

/*-------------------------------------------------------------------------
 * One row.
 *-------------------------------------------------------------------------
 */

static NullableDatum
evaluate(SwitchUpdate *update, ExprState *expression, TupleTableSlot *row)
{
	NullableDatum result;

	update->econtext->ecxt_scantuple = row;
	result.value = ExecEvalExprSwitchContext(expression, update->econtext,
											 &result.isnull);
	return result;
}

static bool
meets_condition(SwitchUpdate *update, TupleTableSlot *row)
{
	NullableDatum met = evaluate(update, update->condition, row);

	return !met.isnull && DatumGetBool(met.value);
}

static void
compute_values(SwitchUpdate *update)
{
	for (int i = 0; i < update->nsettings; i++)
		update->values[i] = evaluate(update, update->settings[i].value, update->slot);
}

static bool
same_value(const Setting *setting, NullableDatum a, NullableDatum b)
{
	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, setting->att->attbyval,
						  setting->att->attlen);
}

/* Makes of row, which is virtual, what the row at hand becomes with the values. */
static void
row_with_values(SwitchUpdate *update, TupleTableSlot *row)
{
	ListCell   *lc;

	ExecCopySlot(row, update->slot);
	row->tts_tableOid = update->slot->tts_tableOid;
	for (int i = 0; i < update->nsettings; i++)
	{
		int			attr = update->settings[i].attnum - 1;

		row->tts_values[attr] = update->values[i].value;
		row->tts_isnull[attr] = update->values[i].isnull;
	}
	foreach(lc, update->generated)
	{
		Generated  *generated = lfirst(lc);
		NullableDatum value = evaluate(update, generated->value, row);

		row->tts_values[generated->attnum - 1] = value.value;
		row->tts_isnull[generated->attnum - 1] = value.isnull;
	}
}

/*
 * Would the change make this row of what it is changed back to?  Then it, or
 * the application, has made it so.
 */
static bool
is_made_by_change(SwitchUpdate *update)
{
	row_with_values(update, update->back);
	if (!meets_condition(update, update->back))
		return false;
	for (int i = 0; i < update->nsettings; i++)
	{
		const Setting *setting = &update->settings[i];
		NullableDatum stored;

		stored.value = slot_getattr(update->slot, setting->attnum, &stored.isnull);
		if (!same_value(setting, stored, evaluate(update, setting->set, update->back)))
			return false;
	}
	return true;
}

typedef struct WayBack
{
	SwitchUpdate *update;
	bool		changed;		/* is the row to be changed back? */
} WayBack;

static void
try_way_back(void *arg)
{
	WayBack    *way = arg;

	compute_values(way->update);
	way->changed = is_made_by_change(way->update);
}

/* Once for all rows of the table in this session. */
static void
warn_of_row_left(SwitchUpdate *update, const ErrorData *error)
{
	static Oid	told = InvalidOid;

	if (told == RelationGetRelid(update->rel))
		return;
	told = RelationGetRelid(update->rel);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("a row of table \"%s\" is not changed back: %s",
					RelationGetRelationName(update->rel), error->message),
			 errdetail("The row at (%u,%u) stays as it is, and so do others for which \"back\" fails.",
					   ItemPointerGetBlockNumber(&update->slot->tts_tid),
					   ItemPointerGetOffsetNumber(&update->slot->tts_tid)),
			 errhint("If the change after the switch has made it, change it back with an UPDATE.")));
}

/*
 * The values of a row that the change has not made may be none that back is made
 * for.
 */
static bool
is_to_be_changed_back(SwitchUpdate *update)
{
	WayBack		way = {update, false};
	ErrorData  *error = quarantine_try(try_way_back, &way);

	if (error == NULL)
		return way.changed;
	warn_of_row_left(update, error);
	FreeErrorData(error);
	/* those that an error has left are not used again */
	prepare_expressions(update);
	return false;
}

/* Is the row at hand to be changed?  Then the values are those that it gets. */
static bool
is_to_be_changed(SwitchUpdate *update)
{
	ResetExprContext(update->econtext);
	/* a row that meets the condition is as it was before the change */
	if (meets_condition(update, update->slot) != update->change->switched)
		return false;
	if (!update->change->switched)
		return is_to_be_changed_back(update);
	compute_values(update);
	return true;
}

/*-------------------------------------------------------------------------
 * The rows of a batch.
 *-------------------------------------------------------------------------
 */

/* A row that is locked, and what it gets. */
typedef struct ChangedRow
{
	ItemPointerData tid;
	NullableDatum *values;
} ChangedRow;

static ChangedRow *
keep_changed_row(SwitchUpdate *update)
{
	ChangedRow *row = palloc(sizeof(ChangedRow));

	row->tid = update->slot->tts_tid;
	row->values = palloc(sizeof(NullableDatum) * update->nsettings);
	for (int i = 0; i < update->nsettings; i++)
	{
		Form_pg_attribute att = update->settings[i].att;

		row->values[i] = update->values[i];
		if (row->values[i].isnull)
			continue;
		row->values[i].value = datumCopy(update->values[i].value,
										 att->attbyval, att->attlen);
		update->kept += datumGetSize(row->values[i].value, att->attbyval, att->attlen);
	}
	return row;
}

/* what a batch keeps at most, but for the values of one row */
#define MOST_KEPT (32 * 1024 * 1024)

static void
leave_block_for_later(SwitchUpdateResult *result, BlockNumber block)
{
	result->again = list_append_unique_oid(result->again, block);
}

/* Returns the rows that are to be changed, locked, as ChangedRow. */
static List *
lock_rows_of_range(SwitchUpdate *update, DirectUpdate *locks,
				   const BlockRange *range, SwitchUpdateResult *result)
{
	TableScanDesc scan = table_rows_begin_scan(update->rel, range->first,
											   range->last);
	List	   *rows = NIL;
	DirectUpdateResult lock;

	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   update->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (update->kept > MOST_KEPT)
		{
			leave_block_for_later(result, ItemPointerGetBlockNumber(&update->slot->tts_tid));
			continue;
		}
		result->rows_seen++;
		result->row = update->slot->tts_tid;
		if (!is_to_be_changed(update))
			continue;
		lock = direct_update_lock(locks, &update->slot->tts_tid);
		if (lock == DIRECT_UPDATED)
		{
			rows = lappend(rows, keep_changed_row(update));
			continue;
		}
		/* of a row that was updated, the new version may be here, too */
		result->locked |= lock == DIRECT_LOCKED;
		leave_block_for_later(result, ItemPointerGetBlockNumber(&update->slot->tts_tid));
	}
	ExecClearTuple(update->slot);
	table_endscan(scan);
	return rows;
}

static Bitmapset *
columns_set(const SwitchUpdate *update)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < update->nsettings; i++)
		columns = bms_add_member(columns, update->settings[i].attnum);
	return columns;
}

/*
 * An UPDATE of the partitioned table, like the application's, needs no privilege on
 * its partitions.  It looks into each of them, so it is for those that belong to
 * others.
 */
static bool
is_updated_by_root(Oid relid)
{
	return table_root(relid) != relid &&
		(pg_class_aclcheck(relid, GetUserId(), ACL_UPDATE) != ACLCHECK_OK ||
		 pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK);
}

static SPIPlanPtr
prepare_update(const SwitchUpdate *update)
{
	Oid			relid = RelationGetRelid(update->rel);
	bool		by_root = is_updated_by_root(relid);
	Oid		   *types = palloc(sizeof(Oid) * (update->nsettings + 1));
	StringInfoData sql;
	SPIPlanPtr	plan;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s%s SET ", by_root ? "" : "ONLY ",
					 quoting_relation(by_root ? table_root(relid) : relid));
	types[0] = TIDOID;
	for (int i = 0; i < update->nsettings; i++)
	{
		types[i + 1] = update->settings[i].att->atttypid;
		appendStringInfo(&sql, "%s%s = $%d", i > 0 ? ", " : "",
						 quote_identifier(NameStr(update->settings[i].att->attname)),
						 i + 2);
	}
	appendStringInfoString(&sql, " WHERE ctid OPERATOR(pg_catalog.=) $1");
	if (by_root)
		appendStringInfo(&sql, " AND tableoid OPERATOR(pg_catalog.=) %u", relid);
	appendStringInfoString(&sql, " RETURNING ctid");
	plan = SPI_prepare(sql.data, update->nsettings + 1, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare the update of table \"%s\": %s",
			 RelationGetRelationName(update->rel),
			 SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * Loads the row whose version at tid is locked, or written, by this transaction as it
 * is now, after triggers that have changed it.  Returns false if it is not here any
 * more.
 */
static bool
load_row_as_it_is(SwitchUpdate *update, ItemPointer tid)
{
	TableScanDesc scan;

	if (table_tuple_fetch_row_version(update->rel, tid, SnapshotSelf, update->slot))
		return true;
	scan = table_beginscan_tid(update->rel, SnapshotSelf);
	table_tuple_get_latest_tid(scan, tid);
	table_endscan(scan);
	return table_tuple_fetch_row_version(update->rel, tid, SnapshotSelf, update->slot);
}

/*
 * A trigger that the update of another row has fired may have changed or deleted the
 * row.  Returns false if nothing is to be done with it any more.
 */
static bool
follow_row(SwitchUpdate *update, ChangedRow *row)
{
	ItemPointerData found = row->tid;

	if (!load_row_as_it_is(update, &found))
		return false;
	if (ItemPointerEquals(&found, &row->tid))
		return true;
	row->tid = found;
	if (!is_to_be_changed(update))
		return false;
	row->values = keep_changed_row(update)->values;
	return true;
}

/*
 * A change that leaves the row as it was, or a trigger that undoes it, would have no
 * end.
 */
static void
check_row_is_changed(SwitchUpdate *update, ItemPointer tid)
{
	if (!load_row_as_it_is(update, tid) || !is_to_be_changed(update))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 update->change->switched
			 ? errmsg("a row of table \"%s\" still meets the condition of its change after the switch",
					  RelationGetRelationName(update->rel))
			 : errmsg("a row of table \"%s\" is still to be changed back",
					  RelationGetRelationName(update->rel)),
			 errdetail("Set: %s. Condition: %s.", update->change->set_given,
					   update->change->condition_given),
			 errhint("What is set must be such that the condition is not met any more, and no trigger of the table may undo it. To give others, abort the migration.")));
}

static void
store_changed_row(SwitchUpdate *update, SPIPlanPtr plan, ChangedRow *row)
{
	int			count = update->nsettings + 1;
	Datum	   *values = palloc(sizeof(Datum) * count);
	char	   *nulls = palloc(count);
	bool		isnull;
	ItemPointerData stored;

	values[0] = PointerGetDatum(&row->tid);
	nulls[0] = ' ';
	for (int i = 1; i < count; i++)
	{
		values[i] = row->values[i - 1].value;
		nulls[i] = row->values[i - 1].isnull ? 'n' : ' ';
	}
	if (SPI_execute_plan(plan, values, nulls, false, 0) != SPI_OK_UPDATE_RETURNING ||
		SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a row of table \"%s\" could not be updated",
						RelationGetRelationName(update->rel)),
				 errdetail("A trigger of the table or its row-level security prevents it."),
				 errhint("Have these let its owner pass, then call tandem.migrate again.")));
	stored = *(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[0],
														  SPI_tuptable->tupdesc,
														  1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	check_row_is_changed(update, &stored);
	pfree(values);
	pfree(nulls);
}

static void
store_changed_rows(SwitchUpdate *update, List *rows, SwitchUpdateResult *result)
{
	SPIPlanPtr	plan;
	ListCell   *lc;

	query_ours_begin();
	SPI_connect();
	plan = prepare_update(update);
	foreach(lc, rows)
	{
		ChangedRow *row = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		result->row = row->tid;
		if (!follow_row(update, row))
			continue;
		store_changed_row(update, plan, row);
		result->rows_changed++;
	}
	SPI_finish();
	query_ours_end();
}

void
switch_update_blocks(Relation rel, const AfterSwitch *change,
					 const Blocks *blocks, SwitchUpdateResult *result)
{
	SwitchUpdate update;
	AuthorityScope scope;
	DirectUpdate *locks;
	List	   *rows = NIL;

	begin_switch_update(&update, rel, change, &scope);
	locks = direct_update_begin(rel, columns_set(&update));
	for (int i = 0; i < blocks->nranges; i++)
		rows = list_concat(rows, lock_rows_of_range(&update, locks,
													&blocks->ranges[i], result));
	result->holder = locks->holder;
	direct_update_end(locks);
	if (rows != NIL)
		store_changed_rows(&update, rows, result);
	ItemPointerSetInvalid(&result->row);
	if (result->rows_changed > 0)
		apply_grace_wait(rel);
	end_switch_update(&update, &scope);
}

bool
switch_update_is_needed(Relation rel, const AfterSwitch *change,
						BlockNumber first, BlockNumber last, ItemPointer row)
{
	SwitchUpdate update;
	AuthorityScope scope;
	TableScanDesc scan;
	bool		needed = false;

	begin_switch_update(&update, rel, change, &scope);
	scan = table_rows_begin_scan(rel, first, last);
	while (!needed &&
		   table_scan_getnextslot_tidrange(scan, ForwardScanDirection, update.slot))
	{
		CHECK_FOR_INTERRUPTS();
		needed = is_to_be_changed(&update);
	}
	if (needed)
		*row = update.slot->tts_tid;
	ExecClearTuple(update.slot);
	table_endscan(scan);
	end_switch_update(&update, &scope);
	return needed;
}

/*-------------------------------------------------------------------------
 * Changes that feed each other.
 *-------------------------------------------------------------------------
 */

/* more than any sensible chain of changes has */
#define MOST_ROUNDS 100

/* Changes row, a slot of the table, if it is to be changed. */
static bool
change_in_memory(Relation rel, const AfterSwitch *change, TupleTableSlot *row)
{
	SwitchUpdate update;
	AuthorityScope scope;
	bool		changed;

	begin_switch_update(&update, rel, change, &scope);
	ExecCopySlot(update.slot, row);
	update.slot->tts_tableOid = RelationGetRelid(rel);
	changed = is_to_be_changed(&update);
	if (changed)
	{
		row_with_values(&update, update.back);
		ExecCopySlot(row, update.back);
	}
	end_switch_update(&update, &scope);
	return changed;
}

void
switch_update_refuse_circle(Relation rel, List *changes, ItemPointer tid)
{
	TupleTableSlot *row = table_slot_create(rel, NULL);
	bool		changed = list_length(changes) > 1 &&
	table_tuple_fetch_row_version(rel, tid, GetActiveSnapshot(), row);

	for (int round = 0; changed && round < MOST_ROUNDS; round++)
	{
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		changed = false;
		foreach(lc, changes)
			changed |= change_in_memory(rel, lfirst(lc), row);
	}
	ExecDropSingleTupleTableSlot(row);
	if (!changed)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("changes of table \"%s\" after the switch have no end", RelationGetRelationName(rel)),
			 errdetail("There is a row that each of them changes again after another has, as often as %d times.",
					   MOST_ROUNDS),
			 errhint("No set may make rows of which the condition of another makes the former ones again. To give others, abort the migration.")));
}
