/*
 * rehearse_change.c
 *		A change of a column, tried on the rows that are there before it is made.
 *
 * The table is read alone, in ACCESS SHARE mode.  Expressions run where nothing may be
 * written, in a subtransaction that is rolled back.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"

#include "core/authority.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "review/equal_values.h"
#include "review/fill_estimate.h"
#include "review/rehearse_change.h"
#include "row/row_tuple.h"

/* what different messages raise is told apart up to so many of them */
#define MOST_MESSAGES 20

/* rows are tried in so many blocks at once, before one of them fails */
#define BLOCKS_AT_ONCE 64

/* of a sample, at least so many blocks are looked at, where there are as many */
#define LEAST_BLOCKS 16

typedef struct RaisedError
{
	TrialStage	stage;
	int			sqlstate;
	char	   *message;		/* NULL: other messages with that SQLSTATE */
	ChangeFinding *finding;
} RaisedError;

typedef struct ChangeRehearsal
{
	ChangeCall *call;
	int64		sample_rows;	/* 0: all */
	int64		rows_left;		/* of the sample, for the leaf at hand */
	MemoryContext context;		/* of what is returned */
	ResourceOwner owner;		/* of what is sorted */
	List	   *constraints;	/* ChangeConstraint */
	List	   *leaves;			/* LeafRows */
	List	   *raised;			/* RaisedError */
	List	   *unique;			/* EqualValues */
	ChangeFinding lossy;
	ChangeFinding nulls;
	ChangeFinding *broken;		/* by constraint */
	bool		not_null;
	bool		down_known;
	const char *down_unknown;	/* why not */

	/* the leaf and the blocks at hand */
	ChangeTrial *trial;
	LeafRows   *leaf;
	TupleTableSlot *slot;
	List	   *fallback;		/* names of columns of a row without key */
	MemoryContext row_context;
	BlockNumber first;
	BlockNumber last;
	int64		most;			/* rows of these blocks */
	bool		guarded;
	int64		sorted;			/* rows of these blocks whose unique values
								 * have been sorted */
	int64		to_sort_from;
	TrialStage	stage;
} ChangeRehearsal;

/*-------------------------------------------------------------------------
 * Findings.
 *-------------------------------------------------------------------------
 */

static void
finding_init(ChangeFinding *finding, const char *kind, const char *object)
{
	memset(finding, 0, sizeof(ChangeFinding));
	finding->finding = kind;
	finding->object = object;
	finding->bytes = -1;
	finding->us = -1;
}

static ChangeFinding *
finding_create(const char *kind, const char *object)
{
	ChangeFinding *finding = palloc(sizeof(ChangeFinding));

	finding_init(finding, kind, object);
	return finding;
}

/* Counts the row at hand. */
static void
finding_add_row(ChangeRehearsal *rehearsal, ChangeFinding *finding)
{
	MemoryContext caller;

	if (finding->rows++ >= CHANGE_SAMPLE)
		return;
	caller = MemoryContextSwitchTo(rehearsal->context);
	finding->keys[finding->nkeys++] = row_key_json(rehearsal->trial->rel, rehearsal->slot, rehearsal->fallback);
	MemoryContextSwitchTo(caller);
}

static RaisedError *
find_raised(ChangeRehearsal *rehearsal, int sqlstate, const char *message)
{
	ListCell   *lc;

	foreach(lc, rehearsal->raised)
	{
		RaisedError *raised = lfirst(lc);

		if (raised->stage == rehearsal->stage && raised->sqlstate == sqlstate &&
			(message && raised->message ? strcmp(raised->message, message) == 0 : raised->message == message))
			return raised;
	}
	return NULL;
}

static RaisedError *
raised_create(ChangeRehearsal *rehearsal, int sqlstate, const char *message)
{
	static const char *const kinds[] = {"up raises", "down raises", "constraint raises"};
	MemoryContext caller = MemoryContextSwitchTo(rehearsal->context);
	RaisedError *raised = palloc(sizeof(RaisedError));

	raised->stage = rehearsal->stage;
	raised->sqlstate = sqlstate;
	raised->message = message ? pstrdup(message) : NULL;
	raised->finding = finding_create(kinds[rehearsal->stage], pstrdup(unpack_sql_state(sqlstate)));
	raised->finding->detail = message ? raised->message : "other messages";
	rehearsal->raised = lappend(rehearsal->raised, raised);
	MemoryContextSwitchTo(caller);
	return raised;
}

static void
count_raised(ChangeRehearsal *rehearsal, const ErrorData *error)
{
	const char *message = error->message;
	RaisedError *raised = find_raised(rehearsal, error->sqlerrcode, message);

	if (raised == NULL && list_length(rehearsal->raised) >= MOST_MESSAGES)
		raised = find_raised(rehearsal, error->sqlerrcode, message = NULL);
	if (raised == NULL)
		raised = raised_create(rehearsal, error->sqlerrcode, message);
	finding_add_row(rehearsal, raised->finding);
}

/*-------------------------------------------------------------------------
 * What UNIQUE would refuse.
 *-------------------------------------------------------------------------
 */

/* The rows of all leaves are sorted together, by columns of the same types. */
static void
sort_unique_columns(ChangeRehearsal *rehearsal)
{
	ListCell   *lc;

	if (rehearsal->unique != NIL)
		return;
	foreach(lc, rehearsal->constraints)
	{
		ChangeConstraint *constraint = lfirst(lc);
		EqualValues *values = NULL;

		if (constraint->columns && constraint->not_tried == NULL)
			values = equal_values_begin(constraint, rehearsal->trial,
										&rehearsal->broken[foreach_current_index(lc)]);
		if (values)
			rehearsal->unique = lappend(rehearsal->unique, values);
	}
}

static void
put_unique_columns(ChangeRehearsal *rehearsal)
{
	ListCell   *lc;

	if (rehearsal->unique == NIL)
		return;
	foreach(lc, rehearsal->unique)
		equal_values_put(lfirst(lc), rehearsal->trial, rehearsal->owner,
						 row_key_json(rehearsal->trial->rel, rehearsal->slot, rehearsal->fallback));
}

/*-------------------------------------------------------------------------
 * One row.
 *-------------------------------------------------------------------------
 */

static void
note_loss(ChangeRehearsal *rehearsal)
{
	ChangeTrial *trial = rehearsal->trial;
	MemoryContext caller;

	finding_add_row(rehearsal, &rehearsal->lossy);
	if (rehearsal->lossy.rows > 1)
		return;
	caller = MemoryContextSwitchTo(rehearsal->context);
	rehearsal->lossy.detail = psprintf("%s becomes %s, which down does not turn into it again",
									   change_trial_value(trial, trial->column),
									   change_trial_value(trial, trial->desc->natts));
	MemoryContextSwitchTo(caller);
}

static void
try_constraints(ChangeRehearsal *rehearsal)
{
	ChangeTrial *trial = rehearsal->trial;

	rehearsal->stage = STAGE_CONSTRAINT;
	if (trial->not_null && trial->row->tts_isnull[trial->desc->natts - 1])
		finding_add_row(rehearsal, &rehearsal->nulls);
	for (int i = 0; i < list_length(rehearsal->constraints); i++)
	{
		if (trial->checks[i] && change_trial_breaks(trial, i))
			finding_add_row(rehearsal, &rehearsal->broken[i]);
	}
}

static void
try_row(void *arg)
{
	ChangeRehearsal *rehearsal = arg;
	ChangeTrial *trial = rehearsal->trial;
	int64		start = clock_now();

	rehearsal->stage = STAGE_UP;
	change_trial_up(trial, rehearsal->slot);
	rehearsal->leaf->up_us += clock_now() - start;
	leaf_rows_add(rehearsal->leaf, trial->desc, trial->row, rehearsal->slot);
	if (++rehearsal->sorted > rehearsal->to_sort_from)
	{
		put_unique_columns(rehearsal);
		rehearsal->to_sort_from = rehearsal->sorted;
	}
	try_constraints(rehearsal);
	rehearsal->stage = STAGE_DOWN;
	if (trial->down && rehearsal->down_known && change_trial_loses(trial))
		note_loss(rehearsal);
}

static void
refuse_writing(const ChangeRehearsal *rehearsal, const ErrorData *error)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s of the change writes, so it cannot be rehearsed",
					rehearsal->stage == STAGE_UP ? "up" : rehearsal->stage == STAGE_DOWN ? "down" : "a constraint"),
			 errdetail("%s", error->message),
			 errhint("Rehearse an expression that only reads; what the fill then takes depends on what is written besides.")));
}

static void
check_error_is_of_row(const ChangeRehearsal *rehearsal, ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION)
		refuse_writing(rehearsal, error);
	if (!error_is_of_row(error) || error_is_intervention(error))
		ReThrowError(error);
}

static void
try_row_guarded(ChangeRehearsal *rehearsal)
{
	ErrorData  *error = subtransaction_rehearse(try_row, rehearsal);

	if (error == NULL)
		return;
	check_error_is_of_row(rehearsal, error);
	count_raised(rehearsal, error);
}

/*-------------------------------------------------------------------------
 * Blocks, leaf tables, and the table.
 *-------------------------------------------------------------------------
 */

static void
try_rows_of_blocks(void *arg)
{
	ChangeRehearsal *rehearsal = arg;
	MemoryContext caller = CurrentMemoryContext;
	TableScanDesc scan = table_rows_begin_scan(rehearsal->trial->rel, rehearsal->first, rehearsal->last);
	int64		left = rehearsal->most;

	/* its pin goes with the subtransaction */
	rehearsal->slot = table_slot_create(rehearsal->trial->rel, NULL);
	rehearsal->sorted = 0;
	while (left-- > 0 &&
		   table_scan_getnextslot_tidrange(scan, ForwardScanDirection, rehearsal->slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(rehearsal->row_context);
		if (rehearsal->guarded)
			try_row_guarded(rehearsal);
		else
			try_row(rehearsal);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(rehearsal->row_context);
	}
	ExecDropSingleTupleTableSlot(rehearsal->slot);
	table_endscan(scan);
}

/* What is counted, to be counted again after an error. */
typedef struct Counted
{
	LeafRows	leaf;
	ChangeFinding lossy;
	ChangeFinding nulls;
	ChangeFinding *broken;
} Counted;

static void
try_blocks(ChangeRehearsal *rehearsal)
{
	Size		size = sizeof(ChangeFinding) * list_length(rehearsal->constraints);
	Counted		before = {*rehearsal->leaf, rehearsal->lossy, rehearsal->nulls, palloc(size + 1)};
	ErrorData  *error;

	memcpy(before.broken, rehearsal->broken, size);
	rehearsal->guarded = false;
	rehearsal->to_sort_from = 0;
	error = subtransaction_rehearse(try_rows_of_blocks, rehearsal);
	if (error)
	{
		check_error_is_of_row(rehearsal, error);
		*rehearsal->leaf = before.leaf;
		rehearsal->lossy = before.lossy;
		rehearsal->nulls = before.nulls;
		memcpy(rehearsal->broken, before.broken, size);
		rehearsal->guarded = true;
		try_rows_of_blocks(rehearsal);
	}
	rehearsal->leaf->blocks_seen += rehearsal->last - rehearsal->first + 1;
	pfree(before.broken);
}

static void
try_all_blocks(ChangeRehearsal *rehearsal)
{
	BlockNumber blocks = rehearsal->leaf->blocks;

	rehearsal->most = PG_INT64_MAX;
	for (BlockNumber block = 0; block < blocks; block += BLOCKS_AT_ONCE)
	{
		rehearsal->first = block;
		rehearsal->last = Min(block + BLOCKS_AT_ONCE, blocks) - 1;
		try_blocks(rehearsal);
	}
}

static int64
rows_seen(const ChangeRehearsal *rehearsal)
{
	int64		rows = rehearsal->leaf->seen;
	ListCell   *lc;

	foreach(lc, rehearsal->raised)
		rows += ((RaisedError *) lfirst(lc))->stage == STAGE_UP ? ((RaisedError *) lfirst(lc))->finding->rows : 0;
	return rows;
}

/* Blocks spread over the table, each with its share of the rows that are left. */
static void
try_some_blocks(ChangeRehearsal *rehearsal, int64 rows)
{
	BlockNumber all = rehearsal->leaf->blocks;
	BlockNumber blocks = (BlockNumber) Min((int64) all, Max(rows / 20, LEAST_BLOCKS));
	int64		before = rows_seen(rehearsal);

	for (BlockNumber i = 0; i < blocks; i++)
	{
		int64		left = rows - (rows_seen(rehearsal) - before);

		if (left <= 0)
			break;
		rehearsal->first = rehearsal->last = (BlockNumber) ((uint64) all * i / blocks);
		rehearsal->most = (left + blocks - i - 1) / (blocks - i);
		try_blocks(rehearsal);
	}
}

/* A sample does not count the rows: as many as ANALYZE has seen, for the size of now. */
static double
rows_of_leaf(const ChangeRehearsal *rehearsal, int64 seen)
{
	Form_pg_class form = rehearsal->trial->rel->rd_rel;

	if (rehearsal->sample_rows == 0)
		return seen;
	if (form->reltuples > 0 && form->relpages > 0)
		return Max(rint((double) form->reltuples / form->relpages * rehearsal->leaf->blocks), seen);
	return Max(rint((double) (BLCKSZ - SizeOfPageHeaderData) * rehearsal->leaf->blocks * Max(rehearsal->leaf->seen, 1) /
					Max(rehearsal->leaf->old_bytes, 1)), seen);
}

/* A row without key is told by the column, or by all of them. */
static List *
columns_of_row(const ChangeRehearsal *rehearsal)
{
	TupleDesc	desc = RelationGetDescr(rehearsal->trial->rel);
	List	   *names = NIL;

	if (rehearsal->call->column)
		return list_make1(rehearsal->call->column);
	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			names = lappend(names, NameStr(TupleDescAttr(desc, i)->attname));
	}
	return names;
}

static LeafRows *
leaf_create(Relation rel)
{
	LeafRows   *leaf = palloc0(sizeof(LeafRows));

	leaf->relid = RelationGetRelid(rel);
	leaf->blocks = RelationGetNumberOfBlocks(rel);
	return leaf;
}

static void
try_leaf(ChangeRehearsal *rehearsal, Relation rel, int64 rows)
{
	int64		seen;

	rehearsal->leaf = leaf_create(rel);
	rehearsal->leaves = lappend(rehearsal->leaves, rehearsal->leaf);
	rehearsal->trial = change_trial_begin(rehearsal->call, rel, rehearsal->constraints);
	rehearsal->not_null |= rehearsal->trial->not_null;
	rehearsal->down_known = rehearsal->trial->down && !rehearsal->trial->is_volatile;
	rehearsal->down_unknown = rehearsal->call->down == NULL ? "down is not given" : "up or down is volatile";
	rehearsal->fallback = columns_of_row(rehearsal);
	sort_unique_columns(rehearsal);
	seen = rows_seen(rehearsal) - rehearsal->leaf->seen;
	if (rows < 0)
		try_all_blocks(rehearsal);
	else
		try_some_blocks(rehearsal, rows);
	rehearsal->leaf->rows = rows_of_leaf(rehearsal, rows_seen(rehearsal) - seen);
	change_trial_end(rehearsal->trial);
}

static BlockNumber
blocks_of(List *leaves)
{
	BlockNumber blocks = 0;
	ListCell   *lc;

	foreach(lc, leaves)
	{
		Relation	rel = table_open_leaf(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		blocks += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	return blocks;
}

static void
try_leaves(ChangeRehearsal *rehearsal)
{
	List	   *leaves = table_leaves(rehearsal->call->relation);
	BlockNumber blocks = rehearsal->sample_rows > 0 ? blocks_of(leaves) : 0;
	ListCell   *lc;

	foreach(lc, leaves)
	{
		Relation	rel = table_open_leaf(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		try_leaf(rehearsal, rel, rehearsal->sample_rows == 0 ? -1
				 : (int64) ceil((double) rehearsal->sample_rows * RelationGetNumberOfBlocks(rel) / Max(blocks, 1)));
		table_close(rel, NoLock);
	}
}

static void
check_relation(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", quoting_shown_name(relid)),
				 errhint("Name the table whose column is to be changed.")));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", quoting_shown_name(relid)),
				 errhint("Grant SELECT on the table to role %s.", quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	if (check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security may hide rows of table \"%s\" from you", quoting_shown_name(relid)),
				 errhint("Call it as the owner of the table, or as a role with BYPASSRLS: a fill reaches all rows.")));
	table_rows_check(table_tree(relid));
}

static void
find_in_rows(void *arg)
{
	ChangeRehearsal *rehearsal = arg;
	Relation	rel = relation_open_present(rehearsal->call->relation, AccessShareLock);
	AuthorityScope scope;
	ListCell   *lc;

	check_relation(rehearsal->call->relation);
	authority_enter_role(&scope, GetUserId(), NULL);
	change_call_read(rehearsal->call, rel);
	rehearsal->constraints = change_constraints(rehearsal->call);
	settings_for_transaction("transaction_read_only", "on");
	rehearsal->broken = palloc(sizeof(ChangeFinding) * (list_length(rehearsal->constraints) + 1));
	foreach(lc, rehearsal->constraints)
		finding_init(&rehearsal->broken[foreach_current_index(lc)], "constraint refuses",
					 ((ChangeConstraint *) lfirst(lc))->name);
	finding_init(&rehearsal->lossy, "not given back", rehearsal->call->column);
	finding_init(&rehearsal->nulls, "not null refuses", rehearsal->call->column);
	try_leaves(rehearsal);
	foreach(lc, rehearsal->unique)
		equal_values_count(lfirst(lc));
	authority_leave(&scope);
	table_close(rel, NoLock);
}

static void
find_in_rows_and_roll_back(void *arg)
{
	ChangeRehearsal *rehearsal = arg;
	ErrorData  *error;

	rehearsal->owner = CurrentResourceOwner;
	error = subtransaction_rehearse(find_in_rows, rehearsal);
	if (error)
		ReThrowError(error);
}

/*-------------------------------------------------------------------------
 * The result.
 *-------------------------------------------------------------------------
 */

static List *
with_bytes(List *findings, const char *kind, const char *object, double bytes, const char *detail)
{
	ChangeFinding *finding = finding_create(kind, object);

	finding->rows = -1;
	finding->bytes = (int64) bytes;
	finding->detail = detail;
	return lappend(findings, finding);
}

static List *
add_estimate(List *findings, const ChangeRehearsal *rehearsal)
{
	const char *table = quoting_shown_name(rehearsal->call->relation);
	FillEstimate *fill = fill_estimate(rehearsal->leaves, rehearsal->call->column);
	ChangeFinding *time = finding_create("fill time", table);
	ListCell   *lc;

	time->rows = (int64) fill->rows;
	time->us = fill->us < 0 ? -1 : (int64) fill->us;
	time->detail = fill->us < 0 ? "not measured: nothing can be written here"
		: "of one worker that gives way to nobody; rests for clients come on top";
	findings = lappend(findings, time);
	findings = with_bytes(findings, "fill wal", table, fill->wal_bytes, "after a checkpoint; without the indexes that are built anew");
	findings = with_bytes(findings, "heap after fill", table, fill->heap_bytes,
						  psprintf("now %s bytes", psprintf(INT64_FORMAT, (int64) fill->heap_now)));
	if (fill->toast_bytes > 0)
		findings = with_bytes(findings, "toast of new column", table, fill->toast_bytes, NULL);
	foreach(lc, fill->indexes)
	{
		const IndexEstimate *index = lfirst(lc);

		findings = with_bytes(findings, index->is_new ? "index on new column" : "index after fill",
							  quoting_shown_name(index->relid), index->bytes,
							  index->is_new ? "built beside this one, whose place it takes at contract" : NULL);
	}
	return findings;
}

static List *
add_not_tried(List *findings, const char *object, const char *why)
{
	ChangeFinding *finding = finding_create("not tried", object);

	finding->rows = -1;
	finding->detail = why;
	return lappend(findings, finding);
}

static List *
add_found(List *findings, ChangeFinding *finding)
{
	return finding->rows > 0 ? lappend(findings, finding) : findings;
}

static List *
findings_of(ChangeRehearsal *rehearsal)
{
	ChangeFinding *tried = finding_create("rows tried", quoting_shown_name(rehearsal->call->relation));
	List	   *findings = list_make1(tried);
	int64		seen = 0;
	double		rows = 0;
	ListCell   *lc;

	foreach(lc, rehearsal->leaves)
	{
		seen += ((LeafRows *) lfirst(lc))->seen;
		rows += ((LeafRows *) lfirst(lc))->rows;
	}
	tried->rows = seen;
	foreach(lc, rehearsal->raised)
	{
		RaisedError *raised = lfirst(lc);

		tried->rows += raised->stage == STAGE_UP ? raised->finding->rows : 0;
	}
	tried->detail = rehearsal->sample_rows == 0 ? "all rows" : psprintf("a sample of about %.0f rows", rows);
	foreach(lc, rehearsal->raised)
		findings = lappend(findings, ((RaisedError *) lfirst(lc))->finding);
	findings = add_found(findings, &rehearsal->lossy);
	findings = add_found(findings, &rehearsal->nulls);
	foreach(lc, rehearsal->constraints)
	{
		const ChangeConstraint *constraint = lfirst(lc);

		findings = add_found(findings, &rehearsal->broken[foreach_current_index(lc)]);
		if (constraint->not_tried)
			findings = add_not_tried(findings, constraint->name, constraint->not_tried);
	}
	if (!rehearsal->down_known && rehearsal->leaves)
		findings = add_not_tried(findings, "down", rehearsal->down_unknown);
	/* where up fails for every row there is nothing to measure */
	return seen == 0 && rehearsal->raised ? findings : add_estimate(findings, rehearsal);
}

List *
rehearse_change(ChangeCall *call, int64 sample_rows)
{
	ChangeRehearsal *rehearsal = palloc0(sizeof(ChangeRehearsal));
	ErrorData  *error;

	rehearsal->call = call;
	rehearsal->sample_rows = sample_rows;
	rehearsal->context = CurrentMemoryContext;
	rehearsal->row_context = AllocSetContextCreate(CurrentMemoryContext, "tandem rehearsal of a row",
												   ALLOCSET_DEFAULT_SIZES);
	error = lock_limited_try(find_in_rows_and_roll_back, rehearsal, setting_lock_timeout);
	if (error)
		ReThrowError(error);
	return findings_of(rehearsal);
}
