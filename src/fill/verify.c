/*
 * verify.c
 *		Recomputes rows and counts those that are wrong.
 *
 * A row is right if its two sides agree by the dual-write rule: new is
 * up(old), or old is down(new).  The latter accepts mappings that lose
 * information.  A derived column may have a value of its own, so its row is
 * right once it is filled.  Of a volatile up a row that is filled is right: its
 * new side was given by up or by a writer, and nothing tells them apart.
 *
 * Besides, rows are counted that lose an old value by down(up(old)), right or
 * not.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/run_control.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/relation.h"
#include "fill/batch.h"
#include "fill/verify.h"
#include "row/dual_write.h"
#include "row/quarantine.h"
#include "row/round_trip.h"
#include "row/row_tuple.h"
#include "rule/relation_rules.h"

typedef enum Verdict
{
	ROW_RIGHT,
	ROW_UNFILLED,
	ROW_MISMATCHED,
	ROW_RAISES
} Verdict;

typedef struct RowCheck
{
	RowState   *state;
	CompiledRule *rule;
	TupleTableSlot *slot;
	Verdict		verdict;
	bool		own;			/* does a derived column have a value of its
								 * own? */
	bool		exact;			/* the new side is up(old) bit by bit, and the
								 * row is loaded */
	bool		lossy;
	bool		new_only;		/* only the new side says what it says */
} RowCheck;

void
verify_result_init(VerifyResult *result)
{
	memset(result, 0, sizeof(VerifyResult));
	initStringInfo(&result->sample);
}

char *
verify_sample(const VerifyResult *result)
{
	return psprintf("[%s]", result->sample.data);
}

/* A row that looks unfilled is unfilled only if a fill would change it. */
static bool
fill_would_change_row(RowCheck *check)
{
	RowState   *state = check->state;

	if (!row_is_unfilled(state, check->rule))
		return false;
	(void) dual_write_forward(state, check->rule);
	return state->first_replaced != InvalidAttrNumber;
}

static bool
new_side_is_null(const RowCheck *check)
{
	const RuleSide *side = &check->rule->new_side;

	for (int i = 0; i < side->ncolumns; i++)
	{
		if (!slot_attisnull(check->slot, check->state->rules->columns[side->columns[i]].attnum))
			return false;
	}
	return true;
}

/*
 * The row is filled.  What it holds is right, but for the NULL that a failed up
 * has left.
 */
static void
verify_filled_derived(RowCheck *check)
{
	CompiledRule *rule = check->rule;

	if (dual_write_agrees(check->state, rule))
		return;
	if (!rule->source->quarantine ||
		!dual_write_raises(check->state, rule))
		check->own = true;
	else if (new_side_is_null(check))
		check->verdict = ROW_RAISES;
}

static void
verify_derived(RowCheck *check)
{
	if (!row_is_unfilled(check->state, check->rule))
		verify_filled_derived(check);
	else if (check->rule->source->quarantine &&
			 dual_write_raises(check->state, check->rule))
		check->verdict = ROW_RAISES;
	else if (fill_would_change_row(check))
		check->verdict = ROW_UNFILLED;
}

/*
 * A volatile up agrees with any value, but for the NULL or default of an
 * unfilled row.
 */
static bool
row_agrees(RowCheck *check)
{
	if (check->rule->new_side.is_volatile)
		return !row_is_unfilled(check->state, check->rule);
	return dual_write_agrees(check->state, check->rule);
}

/*
 * Nothing comes back from the new side of a one-way rule, so a value that release
 * N gave there, when up had failed, is one on which up does not agree.
 */
static bool
row_has_value_beside_up(const RowCheck *check)
{
	const RuleSide *side = &check->rule->new_side;

	if (check->rule->old_side.expressions)
		return false;
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (!row_column_is_default(check->state, side->columns[i]))
			return true;
	}
	return false;
}

static void
load_row_to_check(RowCheck *check)
{
	row_state_load(check->state, check->slot, check->slot,
				   stored_columns(check->slot));
}

static void
verify_rule(void *arg)
{
	RowCheck   *check = arg;
	bool		holds;

	load_row_to_check(check);
	if (rule_is_derived(check->rule->source))
	{
		verify_derived(check);
		return;
	}
	holds = round_trip_is_known(check->rule) &&
		round_trip_side_holds(check->state, check->rule,
							  &check->rule->new_side,
							  check->rule->source->quarantine);
	check->exact = holds &&
		round_trip_side_is_exact(check->state, &check->rule->new_side);
	if (holds || row_agrees(check))
	{
		check->verdict = ROW_RIGHT;
		check->new_only = !holds && round_trip_is_known(check->rule) &&
			!row_is_unfilled(check->state, check->rule);
	}
	else if (check->rule->source->quarantine &&
			 dual_write_raises(check->state, check->rule))
		check->verdict = row_has_value_beside_up(check) ? ROW_MISMATCHED
			: ROW_RAISES;
	else if (fill_would_change_row(check))
		check->verdict = ROW_UNFILLED;
	else
		check->verdict = check->rule->new_side.is_volatile
			? ROW_RIGHT : ROW_MISMATCHED;
}

/* An expression that fails counts here, also if it makes the row wrong. */
static void
look_for_loss(RowCheck *check, bool guarded)
{
	if (!round_trip_is_known(check->rule))
		return;
	if (!check->exact)
		load_row_to_check(check);
	check->lossy = round_trip_loses(check->state, check->rule,
									check->exact ? NEW_SIDE_COMPUTED
									: NEW_SIDE_STORED, guarded);
}

/* Without up, nothing tells whether a derived column has a value of its own. */
static Verdict
verdict_of_failed_rule(const RowCheck *check)
{
	if (!rule_is_derived(check->rule->source))
		return ROW_MISMATCHED;
	return row_is_unfilled(check->state, check->rule) ? ROW_UNFILLED : ROW_RIGHT;
}

/*
 * If an expression fails, that is the row's result.  Only after an error are
 * the rows of the range checked again, each in a subtransaction, so that
 * otherwise no row pays for one.
 */
static void
verify_rules_of_row(RowCheck *check, bool guarded)
{
	ErrorData  *error;

	if (!guarded)
	{
		verify_rule(check);
		return;
	}
	error = quarantine_try(verify_rule, check);
	if (error == NULL)
		return;
	row_forget_compiled(check->state, &check->rule->old_side);
	row_forget_compiled(check->state, &check->rule->new_side);
	check->verdict = verdict_of_failed_rule(check);
}

static const char *
problem_of_row(const RowCheck *check)
{
	switch (check->verdict)
	{
		case ROW_UNFILLED:
			return "unfilled";
		case ROW_MISMATCHED:
			return "mismatch";
		default:
			return "lossy";
	}
}

static void
report_row_sample(RowCheck *check, VerifyResult *result)
{
	Relation	rel = check->state->rel;
	List	   *old = NIL;
	List	   *new = NIL;
	MemoryContext per_row = check->state->econtext->ecxt_per_tuple_memory;
	MemoryContext caller;

	caller = MemoryContextSwitchTo(per_row);
	for (int i = 0; i < check->rule->old_side.ncolumns; i++)
		old = lappend_int(old, check->state->rules->columns[check->rule->old_side.columns[i]].attnum);
	for (int i = 0; i < check->rule->new_side.ncolumns; i++)
		new = lappend_int(new, check->state->rules->columns[check->rule->new_side.columns[i]].attnum);
	appendStringInfo(&result->sample,
					 "%s{\"problem\": \"%s\", \"key\": %s, \"old\": %s, \"new\": %s}",
					 result->sample.len ? ", " : "", problem_of_row(check),
					 row_columns_json(rel, check->slot,
									  row_key_columns(rel, row_fallback_names(check->state->rules, check->rule))),
					 row_columns_json(rel, check->slot, old),
					 row_columns_json(rel, check->slot, new));
	MemoryContextSwitchTo(caller);
}

/* Adds the key of the row to keys, which are in the context of the result. */
static List *
sample_row_key(RowCheck *check, VerifyResult *result, List *keys)
{
	MemoryContext caller;

	if (list_length(keys) >= BATCH_SAMPLE)
		return keys;
	caller = MemoryContextSwitchTo(GetMemoryChunkContext(result->sample.data));
	keys = lappend(keys, row_key_json(check->state->rel, check->slot,
									  row_fallback_names(check->state->rules, check->rule)));
	MemoryContextSwitchTo(caller);
	return keys;
}

static void
count_checked_row(VerifyResult *result, RowCheck *worst, RowCheck *lossy)
{
	bool		wrong = worst->verdict == ROW_UNFILLED ||
	worst->verdict == ROW_MISMATCHED;

	result->rows_checked++;
	result->rows_unfilled += worst->verdict == ROW_UNFILLED;
	result->rows_mismatched += worst->verdict == ROW_MISMATCHED;
	result->rows_quarantined += worst->verdict == ROW_RAISES;
	result->rows_lossy += lossy->lossy;
	if (wrong)
	{
		if (result->sampled++ < VERIFY_SAMPLE)
			report_row_sample(worst, result);
		result->wrong = sample_row_key(worst, result, result->wrong);
	}
	if (lossy->lossy)
	{
		if (!wrong && result->sampled_lossy++ < VERIFY_SAMPLE)
			report_row_sample(lossy, result);
		result->lossy = sample_row_key(lossy, result, result->lossy);
	}
}

/*
 * Counts the row once, by its worst result among the rules, and once if any
 * rule loses an old value of it.
 */
static void
verify_row(RowState *state, const char *migration, TupleTableSlot *slot,
		   VerifyResult *result, bool guarded)
{
	RowCheck	worst = {.state = state,.slot = slot};
	RowCheck	lossy = worst;
	bool		own = false;
	bool		new_only = false;

	for (int i = 0; i < state->rules->nrules; i++)
	{
		RowCheck	check = {
			.state = state,.rule = &state->rules->rules[i],.slot = slot
		};

		if (strcmp(check.rule->source->migration, migration) != 0 ||
			!rule_has_new_side(check.rule->source))
			continue;
		verify_rules_of_row(&check, guarded);
		own |= check.own;
		new_only |= check.new_only;
		if (check.verdict != ROW_RIGHT && worst.verdict != ROW_MISMATCHED)
			worst = check;
		if (lossy.lossy)
			continue;
		look_for_loss(&check, guarded);
		check.verdict = ROW_RIGHT;
		if (check.lossy)
			lossy = check;
	}
	result->rows_own += own;
	result->rows_new_only += new_only;
	count_checked_row(result, &worst, &lossy);
}

typedef struct VerifyScan
{
	RowState   *state;
	const char *migration;
	BlockNumber first;
	BlockNumber last;
	VerifyResult result;
	bool		guarded;
} VerifyScan;

/*
 * Runs in a subtransaction; guarded is set in the second pass, after an error.
 */
static void
scan_blocks_to_verify(void *arg)
{
	VerifyScan *verify = arg;
	Relation	rel = verify->state->rel;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	MemoryContext caller = CurrentMemoryContext;

	/* frees what an error or an equality function leaves behind for a row */
	MemoryContext row = AllocSetContextCreate(caller, "tandem verify",
											  ALLOCSET_SMALL_SIZES);
	TableScanDesc scan = table_rows_begin_scan(rel, verify->first,
											   verify->last);

	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(row);
		verify_row(verify->state, verify->migration, slot, &verify->result,
				   verify->guarded);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
}

/* Samples go on where those of the blocks before have ended. */
static void
begin_part_result(VerifyResult *part, const VerifyResult *total)
{
	verify_result_init(part);
	part->sampled = total->sampled;
	part->sampled_lossy = total->sampled_lossy;
	part->wrong = list_copy(total->wrong);
	part->lossy = list_copy(total->lossy);
}

static void
add_part_result(VerifyResult *total, const VerifyResult *part)
{
	total->rows_checked += part->rows_checked;
	total->rows_unfilled += part->rows_unfilled;
	total->rows_mismatched += part->rows_mismatched;
	total->rows_quarantined += part->rows_quarantined;
	total->rows_own += part->rows_own;
	total->rows_lossy += part->rows_lossy;
	total->rows_new_only += part->rows_new_only;
	if (part->sample.len > 0)
		appendStringInfo(&total->sample, "%s%s",
						 total->sample.len ? ", " : "", part->sample.data);
	total->sampled = part->sampled;
	total->sampled_lossy = part->sampled_lossy;
	total->wrong = part->wrong;
	total->lossy = part->lossy;
}

void
verify_blocks(RowState *state, const char *migration, BlockNumber first,
			  BlockNumber last, VerifyResult *result)
{
	VerifyScan	verify = {
		.state = state,.migration = migration,.first = first,.last = last
	};

	begin_part_result(&verify.result, result);
	if (quarantine_try(scan_blocks_to_verify, &verify) != NULL)
	{
		for (int i = 0; i < state->rules->nrules; i++)
		{
			row_forget_compiled(state, &state->rules->rules[i].old_side);
			row_forget_compiled(state, &state->rules->rules[i].new_side);
		}
		begin_part_result(&verify.result, result);
		verify.guarded = true;
		scan_blocks_to_verify(&verify);
	}
	add_part_result(result, &verify.result);
	pfree(verify.result.sample.data);
}

/* number of blocks that verify_leaf checks at a time, without and with a limit */
#define LEAF_BLOCKS 1024
#define LIMITED_BLOCKS 16

static void
verify_newer_blocks(RowState *state, const char *migration, BlockNumber first,
					BlockNumber last, XLogRecPtr since, VerifyResult *result)
{
	if (XLogRecPtrIsInvalid(since))
	{
		verify_blocks(state, migration, first, last, result);
		return;
	}
	for (int64 block = first; block <= last; block++)
	{
		if (heap_block_is_newer(state->rel, block, since))
			verify_blocks(state, migration, block, block, result);
	}
}

bool
verify_leaf(Oid relid, const char *migration, const char *search_path,
			int64 until, XLogRecPtr since, VerifyResult *counts)
{
	Relation	rel = table_open_leaf(relid, AccessShareLock);
	Trigger    *trigger;
	BlockNumber blocks;
	BlockNumber step = until == CLOCK_NEVER ? LEAF_BLOCKS : LIMITED_BLOCKS;
	AuthorityScope scope;
	RowState   *state;

	verify_result_init(counts);
	/* dropped while others were verified */
	if (rel == NULL)
		return false;
	trigger = relation_sync_trigger(rel);
	blocks = RelationGetNumberOfBlocks(rel);
	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has lost its sync trigger",
						RelationGetRelationName(rel)),
				 errhint("Run %s to create it again.",
						 run_control_migrate_call(migration))));
	authority_enter_owner(&scope, rel, search_path);
	state = row_state_create(rel, trigger);
	counts->blocks_unread = blocks;
	for (int64 first = 0; first < blocks; first += step)
	{
		if (until != CLOCK_NEVER && clock_now() >= until)
			break;
		verify_newer_blocks(state, migration, first,
							Min(first + step, blocks) - 1, since, counts);
		counts->blocks_unread = blocks - Min(first + step, blocks);
	}
	authority_leave(&scope);
	table_close(rel, AccessShareLock);
	return true;
}
