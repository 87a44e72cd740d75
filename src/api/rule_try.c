/*
 * rule_try.c
 *		Tries a new rule on a few rows, and warns of what it would do.
 *
 * Other rows may do better or worse than those tried, so nothing here is an
 * error.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "api/rule_try.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/time_limit.h"
#include "core/transaction.h"
#include "fill/batch.h"
#include "row/round_trip.h"
#include "rule/rule_compile.h"
#include "row/row_tuple.h"

/* at most so many rows, blocks and tables are looked at */
#define TRY_ROWS 100
#define TRY_BLOCKS 16
#define TRY_TABLES 8

/* What an INSERT of one release gives the other one's expressions to read. */
typedef enum TriedRow
{
	ROW_OF_DEFAULTS,
	ROW_OF_NULLS
} TriedRow;

typedef struct RuleTry
{
	const SyncRule *source;
	int64		end;			/* of the time for it */
	Relation	rel;
	RowState   *state;			/* NULL before the rules are compiled */
	CompiledRule *rule;
	TupleTableSlot *slot;		/* the row that is tried */
	int			rows;			/* number of rows that may still be read of a
								 * table */
	bool		up_failed;		/* a row was found whose up fails, */
	bool		lossy;			/* and one whose old value is lost */
	const RuleExpression *expression;	/* what try_expression computes, */
	bool		isnull;			/* and whether that is null */
	char	   *loss;			/* what try_round_trip has found, or NULL */
} RuleTry;

/*-------------------------------------------------------------------------
 * Calling an expression that may fail, write, or never end.
 *-------------------------------------------------------------------------
 */

/*
 * Calls work(try) in a subtransaction that is rolled back.  Returns false if it
 * was not called, or did not end, because the time is up.  *error is the error
 * of the row that it has thrown, or NULL; others are thrown.
 */
static bool
try_work(RuleTry *try, void (*work) (void *), ErrorData **error)
{
	int64		left = clock_ms_until(try->end);
	bool		time_is_up;

	*error = NULL;
	if (left <= 0)
		return false;
	*error = rehearse_for_time(work, try, left, &time_is_up);
	if (*error == NULL && !time_is_up)
		return true;
	if (try->state)
	{
		row_forget_compiled(try->state, &try->rule->old_side);
		row_forget_compiled(try->state, &try->rule->new_side);
	}
	if (time_is_up)
		try->end = clock_now();
	else if (!error_is_of_row(*error))
		ReThrowError(*error);
	return !time_is_up;
}

/* Planning an expression runs immutable functions. */
static void
compile_rules_to_try(void *arg)
{
	RuleTry    *try = arg;
	RowState   *state = row_state_create(try->rel,
										 relation_sync_trigger(try->rel));

	for (int i = 0; i < state->rules->nrules; i++)
	{
		if (state->rules->rules[i].source->id == try->source->id)
		{
			try->rule = &state->rules->rules[i];
			try->state = state;
		}
	}
}

/*
 * Begins tries on rel, whose rules belong to the current memory context.
 * Returns false if there is nothing to try.
 */
static bool
begin_tries_on(RuleTry *try, Relation rel)
{
	ErrorData  *error;

	try->rel = rel;
	try->state = NULL;
	if (!try_work(try, compile_rules_to_try, &error))
		return false;
	if (error)
	{
		/* nor is it tried on other tables */
		try->end = clock_now();
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("up or down of migration \"%s\" fails: %s",
						try->source->migration, error->message),
				 errdetail("Every write of table \"%s\" would fail.",
						   RelationGetRelationName(rel)),
				 errhint("Abort, and create the sync with another up or down.")));
	}
	return try->state != NULL;
}

static void
load_row_to_try(RuleTry *try)
{
	row_state_load(try->state, try->slot, try->slot,
				   stored_columns(try->slot));
}

/*-------------------------------------------------------------------------
 * Rows that writers may insert: all columns null, or at their defaults.
 *-------------------------------------------------------------------------
 */

/*
 * Stores a row of defaults into the slot.  Returns the columns, as numbered by
 * pull_varattnos, whose default is not known in advance: nextval() must not be
 * called.
 */
static Bitmapset *
store_defaults(RuleTry *try)
{
	TupleDesc	desc = try->slot->tts_tupleDescriptor;
	Bitmapset  *unknown = NULL;

	ExecStoreAllNullTuple(try->slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Node	   *value;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		value = relation_rules_default(try->rel, i + 1);
		if (value == NULL)
			continue;
		if (!IsA(value, Const))
			unknown = bms_add_member(unknown, i + 1 - FirstLowInvalidHeapAttributeNumber);
		else
		{
			try->slot->tts_values[i] = ((Const *) value)->constvalue;
			try->slot->tts_isnull[i] = ((Const *) value)->constisnull;
		}
	}
	return unknown;
}

/* The migration gives it that before its release is ready. */
static bool
column_becomes_not_null(const RuleTry *try, const RuleColumn *column)
{
	ListCell   *lc;

	foreach(lc, step_list_of_tables(try->source->migration_id, STEP_NOT_NULL,
									list_make1_oid(try->source->relation)))
	{
		if (strcmp(((Step *) lfirst(lc))->object, NameStr(column->att->attname)) == 0)
			return true;
	}
	return false;
}

/* Do any of these columns have a null where the table has NOT NULL, or will? */
static bool
columns_cannot_be(const RuleTry *try, const int *columns, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
	{
		RuleColumn *column = &try->state->rules->columns[columns[i]];

		if (try->slot->tts_isnull[column->attnum - 1] &&
			(column->att->attnotnull || column_becomes_not_null(try, column)))
			return true;
	}
	return false;
}

/* Does the expression read one of these columns, or the whole row? */
static bool
expression_reads_any(const RuleExpression *expression, const Bitmapset *columns)
{
	Bitmapset  *read = NULL;

	pull_varattnos(expression->plan->expr, 1, &read);
	return bms_overlap(read, columns) ||
		(columns != NULL &&
		 bms_is_member(-FirstLowInvalidHeapAttributeNumber, read));
}

static void
try_expression(void *arg)
{
	RuleTry    *try = arg;

	load_row_to_try(try);
	(void) row_compute(try->state, try->rule, try->expression, false,
					   &try->isnull);
}

/* Of a derived column, whose old side is empty: what up reads. */
static char *
side_names(const RuleTry *try, const RuleSide *side)
{
	List	   *names = NIL;

	if (side->ncolumns == 0)
		return text_joined(row_fallback_names(try->state->rules, try->rule), "", ", ");
	for (int i = 0; i < side->ncolumns; i++)
		names = lappend(names, NameStr(try->state->rules->columns[side->columns[i]].att->attname));
	return text_joined(names, "", ", ");
}

/* What becomes of a write that stores the row. */
static const char *
fate_of_write(const RuleTry *try, const ErrorData *error)
{
	return error && try->source->quarantine ? "be put into quarantine" : "fail";
}

/* error is that of the expression, or NULL if its value is null. */
static void
warn_of_tried_row(const RuleTry *try, TriedRow row, const RuleSide *given,
				  const ErrorData *error)
{
	RelationRules *rules = try->state->rules;
	const char *column = NameStr(rules->columns[try->expression->column].att->attname);
	const char *label = given == &try->rule->new_side ? "down" : "up";
	const char *release = given == &try->rule->new_side ? "new" : "old";
	const char *kind = row == ROW_OF_NULLS ? "nulls" : "defaults";

	ereport(WARNING,
			(errcode(error ? error->sqlerrcode : ERRCODE_NOT_NULL_VIOLATION),
			 error ? errmsg("%s of column \"%s\" fails for a row of %s: %s",
							label, column, kind, error->message)
			 : errmsg("%s of column \"%s\" is null for a row of %s, and the column is NOT NULL",
					  label, column, kind),
			 row == ROW_OF_NULLS
			 ? errdetail("A write of the %s release that sets %s to null would %s.",
						 release, side_names(try, given), fate_of_write(try, error))
			 : errdetail("An INSERT of the %s release that does not name %s would %s.",
						 release, side_names(try, given), fate_of_write(try, error)),
			 error ? errhint("Let %s accept such a row, as with coalesce()%s.",
							 label, try->source->quarantine ? ""
							 : "; or abort, and create the sync with on_error => 'quarantine'")
			 : errhint("Let %s give a value for null, as with coalesce(), or give what it reads a default.",
					   label)));
}

/*
 * Tries the expressions of target on the row in the slot, which a writer of
 * given may store.  Adds the columns that it warns of to warned.
 */
static Bitmapset *
try_side_on_row(RuleTry *try, TriedRow row, RuleSide *given, RuleSide *target,
				const Bitmapset *unknown, Bitmapset *warned)
{
	if (target->expressions == NULL || target->is_volatile ||
		columns_cannot_be(try, given->columns, given->ncolumns) ||
		columns_cannot_be(try, target->sources, target->nsources))
		return warned;
	for (int i = 0; i < target->ncolumns; i++)
	{
		RuleColumn *column = &try->state->rules->columns[target->columns[i]];
		ErrorData  *error;

		try->expression = &target->expressions[i];
		if (try->expression->id < 0 || bms_is_member(column->attnum, warned) ||
			expression_reads_any(try->expression, unknown) ||
			!try_work(try, try_expression, &error) ||
			(error == NULL && !(try->isnull && column->att->attnotnull)))
			continue;
		warn_of_tried_row(try, row, given, error);
		warned = bms_add_member(warned, column->attnum);
	}
	return warned;
}

static void
try_empty_rows(RuleTry *try)
{
	CompiledRule *rule = try->rule;
	Bitmapset  *unknown;
	Bitmapset  *warned;

	try->slot = compat_make_slot(try->state->rules->desc, &TTSOpsVirtual);
	unknown = store_defaults(try);
	warned = try_side_on_row(try, ROW_OF_DEFAULTS, &rule->new_side,
							 &rule->old_side, unknown, NULL);
	warned = try_side_on_row(try, ROW_OF_DEFAULTS, &rule->old_side,
							 &rule->new_side, unknown, warned);
	ExecStoreAllNullTuple(try->slot);
	warned = try_side_on_row(try, ROW_OF_NULLS, &rule->new_side,
							 &rule->old_side, NULL, warned);
	(void) try_side_on_row(try, ROW_OF_NULLS, &rule->old_side,
						   &rule->new_side, NULL, warned);
}

/*-------------------------------------------------------------------------
 * Rows that are there.
 *-------------------------------------------------------------------------
 */

static char *
tried_row_name(const RuleTry *try)
{
	return psprintf("%s of table \"%s\"",
					row_key_text(try->rel, try->slot,
								 row_key_columns(try->rel,
												 row_fallback_names(try->state->rules, try->rule))),
					RelationGetRelationName(try->rel));
}

static void
try_up(void *arg)
{
	RuleTry    *try = arg;

	load_row_to_try(try);
	row_compute_side(try->state, try->rule, &try->rule->new_side, false);
}

static void
try_round_trip(void *arg)
{
	RuleTry    *try = arg;

	load_row_to_try(try);
	if (round_trip_loses(try->state, try->rule, NEW_SIDE_STORED, false))
		try->loss = round_trip_describe(try->state, try->rule);
}

static void
warn_of_failing_up(RuleTry *try, const ErrorData *error)
{
	try->up_failed = true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("up of migration \"%s\" fails for row %s: %s",
					try->source->migration, tried_row_name(try),
					error->message),
			 try->source->quarantine
			 ? errdetail("The backfill will put such rows into quarantine.")
			 : errdetail("The backfill will stop at such a row, and an UPDATE of it will fail."),
			 try->source->quarantine ? 0
			 : errhint("Fix these rows; or abort, and create the sync with another up, or with on_error => 'quarantine'.")));
}

/* error is that of down, or NULL. */
static void
warn_of_loss(RuleTry *try, const ErrorData *error)
{
	try->lossy = true;
	ereport(WARNING,
			(errcode(error ? error->sqlerrcode : ERRCODE_WARNING),
			 error ? errmsg("down of migration \"%s\" fails for what up makes of row %s: %s",
							try->source->migration, tried_row_name(try),
							error->message)
			 : errmsg("down of migration \"%s\" does not give back the old value of row %s",
					  try->source->migration, tried_row_name(try)),
			 error ? 0 : errdetail("%s", try->loss),
			 errhint("Such a value is lost when the new release writes its row, and at contract; tandem.abort does not bring it back. migrate counts such rows: see rows_lossy in tandem.progress.")));
}

static void
try_stored_row(RuleTry *try)
{
	ErrorData  *error;

	if (!try_work(try, try_up, &error))
		return;
	if (error)
	{
		if (!try->up_failed)
			warn_of_failing_up(try, error);
		return;
	}
	if (try->lossy || !round_trip_is_known(try->rule))
		return;
	try->loss = NULL;
	if (try_work(try, try_round_trip, &error) && (error || try->loss))
		warn_of_loss(try, error);
}

static bool
tries_are_over(const RuleTry *try)
{
	return try->rows <= 0 || clock_now() >= try->end ||
		(try->up_failed &&
		 (try->lossy || !round_trip_is_known(try->rule)));
}

/* Tries up to most rows of one block. */
static void
try_rows_of_block(RuleTry *try, BlockNumber block, int most)
{
	TableScanDesc scan = table_rows_begin_scan(try->rel, block, block);

	while (most-- > 0 && !tries_are_over(try) &&
		   table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   try->slot))
	{
		try_stored_row(try);
		try->rows--;
	}
	ExecClearTuple(try->slot);
	table_endscan(scan);
}

/* Tries rows of some blocks, which are spread over the table. */
static void
try_rows_of_table(void *arg)
{
	RuleTry    *try = arg;
	BlockNumber all = RelationGetNumberOfBlocks(try->rel);
	int			blocks = (int) Min(all, TRY_BLOCKS);

	snapshot_push_latest();
	try->slot = table_slot_create(try->rel, NULL);
	for (int i = 0; i < blocks && !tries_are_over(try); i++)
		try_rows_of_block(try, (BlockNumber) ((uint64) all * i / blocks),
						  try->rows / (blocks - i) + 1);
	ExecDropSingleTupleTableSlot(try->slot);
	PopActiveSnapshot();
}

/*
 * Calls tries(try) with the rules of a table.  The current memory context is
 * deleted afterwards, which gives the rules back.
 */
static void
try_on_table(RuleTry *try, Oid relid, void (*tries) (RuleTry *try))
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem try",
												  ALLOCSET_SMALL_SIZES);
	Relation	rel = table_open(relid, NoLock);
	AuthorityScope scope;

	MemoryContextSwitchTo(context);
	authority_enter_owner(&scope, rel, try->source->search_path);
	if (begin_tries_on(try, rel))
		tries(try);
	authority_leave(&scope);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	table_close(rel, NoLock);
}

/* What the access method of a table cannot do, migrate will say. */
static void
try_stored_rows(RuleTry *try)
{
	ErrorData  *error;

	if (try->rule->new_side.is_volatile)
		return;
	error = subtransaction_rehearse(try_rows_of_table, try);
	if (error && !error_is_of_row(error))
		ReThrowError(error);
}

void
rule_try(const SyncRule *rule)
{
	/*
	 * The call has the table locked, so others wait this long: not as long as
	 * for one that waits for such a lock.
	 */
	RuleTry		try = {.source = rule,.end = clock_after_ms(setting_lock_timeout / 2)};
	List	   *leaves = table_leaves(rule->relation);
	int			count = list_length(leaves);
	int			tables = Min(count, TRY_TABLES);

	try_on_table(&try, rule->relation, try_empty_rows);
	/* a column that goes has no value that could be lost */
	if (!rule_has_new_side(rule))
		return;
	for (int i = 0; i < tables && clock_now() < try.end; i++)
	{
		try.rows = TRY_ROWS / tables;
		try_on_table(&try, list_nth_oid(leaves, (int) ((int64) count * i / tables)),
					 try_stored_rows);
	}
}
