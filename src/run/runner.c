/*
 * runner.c
 *		The migrate phase: runs all steps in their order.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "catalog/after_switch.h"
#include "catalog/migration_lock.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/sequence_type.h"
#include "ending/parts.h"
#include "row/quarantine.h"
#include "rule/fill_mark.h"
#include "rule/rule_uses.h"
#include "run/after_switch.h"
#include "run/build.h"
#include "run/command.h"
#include "run/fill.h"
#include "run/loop.h"
#include "run/own_values.h"
#include "run/process.h"
#include "run/retry.h"
#include "run/runner.h"
#include "trigger/install.h"
#include "views/views_end.h"
#include "views/view_definition.h"

/*-------------------------------------------------------------------------
 * What migrate does for one table after the other, before the fill and between
 * the fill and the builds.
 *-------------------------------------------------------------------------
 */

/* Something to be done for one table of the migration. */
typedef struct TablePiece
{
	const Migration *migration;
	Oid			relation;
	StepPhase	phase;
	const char *doing;			/* the same in words */
	bool		announced;
	bool		(*needed) (const struct TablePiece *piece);
	void		(*work) (const struct TablePiece *piece);
} TablePiece;

/*
 * Returns the id of a backfill step of the table or of one of its partitions, or
 * 0.
 */
static int
fill_step_of_table(const Migration *migration, Oid relid)
{
	return step_of_tables(migration->id, STEP_BACKFILL, table_leaves(relid));
}

/* The first turn says what is to be done, in the step of the table's fill. */
static void
work_on_table_piece(Loop *loop)
{
	TablePiece *piece = loop->arg;

	if (piece->announced)
		piece->work(piece);
	else if (piece->needed(piece))
	{
		loop_note_afterwards(loop->step_id, piece->phase, piece->doing, 0, 0, NULL);
		piece->announced = loop->more = true;
	}
}

static bool
table_piece_error_passes(Loop *loop, ErrorData *error)
{
	TablePiece *piece = loop->arg;

	return loop_lock_passes(loop, error, piece->relation, piece->phase,
							piece->doing);
}

static ErrorData *
after_table_piece(Loop *loop)
{
	if (!loop->more && ((TablePiece *) loop->arg)->announced)
		loop_note_afterwards(loop->step_id, DOING_NOTHING, NULL, 0, 0, NULL);
	return NULL;
}

static void
run_table_piece(TablePiece *piece)
{
	Loop		loop = {
		.migration = piece->migration,
		.step_id = fill_step_of_table(piece->migration, piece->relation),
		.arg = piece,
		.work = work_on_table_piece,
		.passes = table_piece_error_passes,
		.after = after_table_piece,
		.retries_locks = true,
	};

	loop_run(&loop);
}

/* Does the same for each table. */
static void
run_table_pieces(Migration *migration, List *relids, StepPhase phase,
				 const char *doing,
				 bool (*needed) (const TablePiece *piece),
				 void (*work) (const TablePiece *piece))
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		TablePiece	piece = {
			.migration = migration,
			.relation = lfirst_oid(lc),
			.phase = phase,
			.doing = doing,
			.needed = needed,
			.work = work,
		};

		run_table_piece(&piece);
	}
}

/* Returns the rules of the table that are filled but not marked as filled. */
static List *
rules_to_mark(const TablePiece *piece, List *leaves)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_table(piece->migration->id, piece->relation))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_has_new_side(rule) && fill_is_complete(piece->migration, rule) &&
			!fill_mark_is_filled(rule, leaves))
			rules = lappend(rules, rule);
	}
	return rules;
}

static bool
table_is_to_be_marked(const TablePiece *piece)
{
	return relation_exists(piece->relation) &&
		rules_to_mark(piece, table_leaves(piece->relation)) != NIL;
}

/*
 * Marks the rules of the table as filled: no row is unfilled from now on.  A
 * NULL or the default in a new column counts as the writer's value then.
 */
static void
mark_table_filled(const TablePiece *piece)
{
	List	   *leaves;
	List	   *rules;
	ListCell   *lc;

	if (!table_is_to_be_marked(piece))
		return;
	lock_relations(table_tree(piece->relation), ShareRowExclusiveLock);
	/* look again, now that no partition can be attached */
	leaves = table_leaves(piece->relation);
	rules = rules_to_mark(piece, leaves);
	foreach(lc, rules)
		fill_mark_set_filled(lfirst(lc), leaves);
}

static bool
table_is_there(const TablePiece *piece)
{
	return relation_exists(piece->relation);
}

/* Writes the rules last: others wait for them with tables locked. */
static void
end_read_through_of_table(const TablePiece *piece)
{
	ListCell   *lc;

	if (!relation_exists(piece->relation))
		return;
	versioned_views_refresh(list_make1_oid(piece->relation));
	foreach(lc, sync_list_of_table(piece->migration->id, piece->relation))
	{
		SyncRule   *rule = lfirst(lc);

		if (!view_reads_through(rule))
			sync_note_filled(rule);
	}
}

/*
 * Marks the filled tables, makes the views of releases plain, and tries the
 * rows again that were in quarantine at snapshot before.  Each table, or batch
 * of rows, has a transaction of its own; tandem.progress shows it if it takes
 * long, and tandem.cancel ends it as it ends a batch.  The caller has a
 * non-atomic SPI connection and has just committed.  Errors: another session
 * has asked to stop; a table could not be locked within
 * tandem.lock_retry_time; any error on a row.
 */
static void
after_fill_run(Migration *migration, const char *before)
{
	List	   *relids = sync_relations_of_migration(migration->id);

	step_forget_afterwards(migration->id);
	transaction_commit();
	run_table_pieces(migration, relids, DOING_MARK, "marking the table as filled",
					 table_is_to_be_marked, mark_table_filled);
	/* not with a table locked, since this waits for views, too */
	run_table_pieces(migration, relids, DOING_VIEWS,
					 "making the views of releases plain", table_is_there,
					 end_read_through_of_table);
	retry_run(migration, before);
}

/* The relation of these pieces is a sequence. */
static bool
sequence_is_to_be_widened(const TablePiece *piece)
{
	return sequence_type_is_smaller(piece->migration->id, piece->relation);
}

static void
widen_sequence(const TablePiece *piece)
{
	sequence_type_widen(piece->migration->id, piece->relation);
}

/*-------------------------------------------------------------------------
 * All steps of a migration, in their order: backfill of each leaf table, retry
 * of quarantined rows, indexes, NOT NULL, constraints, statistics, verify of
 * each leaf table.
 *-------------------------------------------------------------------------
 */

/*
 * A text that a newer server or extension no longer parses, or that names what
 * is gone, fails every write of the table, and nothing here can repair it.
 */
static void
check_rule_parses(const Migration *migration, const SyncRule *rule)
{
	bool		locked;
	char	   *problem = relation_exists(rule->relation)
	? sync_rule_problem(rule, &locked) : NULL;

	if (problem)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync of table \"%s\" is broken",
						quoting_shown_name(rule->relation)),
				 errdetail("Columns: %s. Problem: %s.",
						   text_joined(sync_columns_shown(rule), "", ", "), problem),
				 errhint("Undo what has changed, or end the migration: CALL tandem.abort(%s);",
						 quote_literal_cstr(migration->name))));
}

/* workers of a terminated runner end with their current statement */
#define WORKERS_WAIT_MS 10000

/*
 * Restores a trigger that was dropped, disabled or changed.  Rows written
 * meanwhile may look filled and are not.  So forget the fill marks and start
 * the fill again; it looks at the values.
 */
static void
repair_sync(const Migration *migration, SyncRule *rule)
{
	char	   *problem = relation_exists(rule->relation) ? sync_problem(rule) : NULL;
	char	   *left;
	ListCell   *lc;

	if (problem == NULL)
		return;
	lock_relations(table_tree(rule->relation), ShareRowExclusiveLock);
	foreach(lc, sync_list_of_relation(rule->relation))
		fill_mark_delete(((SyncRule *) lfirst(lc))->id);
	step_restart(migration->id, table_leaves(rule->relation));
	sync_install(rule->relation);
	left = sync_problem(rule);
	if (left != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync of table \"%s\" is broken",
						quoting_shown_name(rule->relation)),
				 errdetail("%s.", left),
				 errhint("Fix it, then run CALL tandem.migrate(%s) again.",
						 quote_literal_cstr(migration->name))));
	migration_record(migration, "repair", problem, 0);
	ereport(NOTICE,
			(errmsg("sync of table \"%s\" was repaired",
					quoting_shown_name(rule->relation)),
			 errdetail("It was: %s.", problem)));
}

static void
repair_table(const TablePiece *piece)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_table(piece->migration->id, piece->relation))
		repair_sync(piece->migration, lfirst(lc));
}

/*
 * Applies the migration's settings until the end of the transaction, as the
 * loop does before each piece.
 */
static void
apply_run_settings(const Migration *migration)
{
	run_control_apply_settings(run_control_get(migration->id));
}

/* Returns the tables to fill and verify at present. */
static List *
leaves_of_rules(List *rules)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (relation_exists(rule->relation) && rule_has_new_side(rule))
			leaves = list_concat_unique_oid(leaves,
											table_leaves(rule->relation));
	}
	return leaves;
}

/*
 * The first transaction: sets the phase and lists the steps.  Returns the tables
 * whose triggers must be repaired.
 */
static List *
begin_migrate(Migration *migration)
{
	List	   *rules;
	List	   *tables = NIL;
	List	   *broken = NIL;
	List	   *leaves;
	ListCell   *lc;

	apply_run_settings(migration);
	migration_act(migration, ACTION_MIGRATE, NULL, 0);
	rules = sync_list_of_migration(migration->id);
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		check_rule_parses(migration, rule);
		if (relation_exists(rule->relation) && sync_problem(rule) != NULL)
			broken = list_append_unique_oid(broken, rule->relation);
		if (rule_has_new_side(rule))
			tables = list_append_unique_oid(tables, rule->relation);
	}
	sync_note_parsed(migration->id);
	own_values_note_uses(rules);
	leaves = leaves_of_rules(rules);
	step_keep_only(migration->id, leaves);
	step_ensure(migration->id, STEP_BACKFILL, leaves);
	step_ensure(migration->id, STEP_VERIFY, leaves);
	step_ensure(migration->id, STEP_ANALYZE, tables);
	run_control_set_error(migration->id, NULL, NULL);
	return broken;
}

static bool
steps_are_done(const Migration *migration)
{
	KnownUses	uses;
	ListCell   *lc;

	known_uses_init(&uses);
	if (migration->phase != PHASE_CONTRACT || !step_all_done(migration->id))
		return false;
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (relation_exists(rule->relation) &&
			(sync_problem(rule) != NULL || !fill_is_complete(migration, rule)))
			return false;
	}
	foreach(lc, step_list(migration->id, STEP_VERIFY))
	{
		if (relation_exists(((Step *) lfirst(lc))->relation) &&
			!fill_proof_holds(lfirst(lc), &uses))
			return false;
	}
	return true;
}

bool
runner_is_done(const Migration *migration)
{
	return steps_are_done(migration) &&
		!after_switch_is_due(after_switch_list(migration->id));
}

/* Is nothing left but rows that are changed after the switch? */
static bool
only_rows_are_left(const Migration *migration)
{
	return after_switch_is_due(after_switch_list(migration->id)) &&
		steps_are_done(migration);
}

/*
 * Warns of rows whose old value down does not give back: those that were
 * filled, or, if there is none, those that verify has found.
 */
static void
warn_of_lossy_rows(const Migration *migration)
{
	StepRows	filled;
	StepRows	found;
	StepRows   *rows;

	step_sum_rows(migration->id, STEP_BACKFILL, &filled);
	step_sum_rows(migration->id, STEP_VERIFY, &found);
	rows = filled.lossy > 0 ? &filled : &found;
	if (rows->lossy == 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_plural("down of migration \"%s\" does not give back the old values of " INT64_FORMAT " row",
						   "down of migration \"%s\" does not give back the old values of " INT64_FORMAT " rows",
						   (unsigned long) rows->lossy, migration->name,
						   rows->lossy),
			 errdetail("Among these rows: %s. Rows counted by verify: " INT64_FORMAT ".",
					   text_joined(rows->lossy_keys, "", ", "), found.lossy),
			 errhint("An old value is lost when the new release writes its row, and at contract; CALL tandem.abort does not bring it back. SELECT * FROM tandem.verify(%s) shows such rows. If this is not intended, abort, and create the sync with another up or down.",
					 quote_literal_cstr(migration->name))));
}

static void
refuse_wrong_rows(const Migration *migration, List *rules)
{
	bool		one_way = sync_list_has_one_way(rules);
	char	   *name = quote_literal_cstr(migration->name);
	StepRows	rows;

	step_sum_rows(migration->id, STEP_VERIFY, &rows);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("verify of migration \"%s\" found unfilled or mismatched rows",
					migration->name),
			 errdetail("Everything that was filled is kept.%s%s%s%s",
					   rows.wrong_keys ? " Among these rows: " : "",
					   text_joined(rows.wrong_keys, "", ", "),
					   rows.wrong_keys ? "." : "",
					   one_way
					   ? " A one-way sync cannot tell a row whose new column was written on its own: if these are such rows, contract with force => true."
					   : ""),
			 errhint("See which: SELECT * FROM tandem.verify(%s); fix the rows or the sync, then call tandem.migrate again. If a function of the sync was changed, SELECT tandem.refill(%s) has migrate compute these rows again.",
					 name, name)));
}

bool
runner_warn_of_quarantine(const Migration *migration)
{
	int64		quarantined = quarantine_count(migration->id);

	if (quarantined == 0)
		return false;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_plural(INT64_FORMAT " row of migration \"%s\" is in quarantine",
						   INT64_FORMAT " rows of migration \"%s\" are in quarantine",
						   (unsigned long) quarantined,
						   quarantined, migration->name),
			 errhint("Fix the rows shown in tandem.quarantine, then run CALL tandem.migrate(%s) again.",
					 quote_literal_cstr(migration->name))));
	return true;
}

/* The last transaction: moves to phase contract if all steps are done. */
static void
end_migrate(Migration *migration, int64 started)
{
	List	   *rules = sync_list_of_migration(migration->id);

	/* partitions may have been detached or dropped meanwhile */
	step_keep_only(migration->id, leaves_of_rules(rules));
	warn_of_lossy_rows(migration);
	own_values_warn(migration, rules);
	contract_parts_warn(migration, contract_parts(migration), NIL);
	if (!step_all_done(migration->id))
		refuse_wrong_rows(migration, rules);
	migration_act(migration, ACTION_FINISH, NULL, started);
	if (after_switch_list(migration->id) == NIL)
		run_control_end_background(migration->id);
	(void) runner_warn_of_quarantine(migration);
}

typedef struct Run
{
	Migration  *migration;
	int			workers;
} Run;

/* What is due of it, and who goes on: a launcher, once there is more. */
static void
run_after_switch(void *arg)
{
	Migration  *migration = ((Run *) arg)->migration;
	bool		more;

	if (after_switch_list(migration->id) == NIL)
		return;
	run_control_set_error(migration->id, NULL, NULL);
	loop_transactions(true);
	transaction_commit();
	more = after_switch_run(migration);
	loop_transactions(false);
	if (!more)
		run_control_end_background(migration->id);
	transaction_commit();
}

static void
run_migration_steps(void *arg)
{
	Migration  *migration = ((Run *) arg)->migration;
	int			workers = ((Run *) arg)->workers;
	int64		started = clock_now();

	/* the rows that this run notes are not tried twice */
	char	   *before = quarantine_snapshot();
	List	   *broken;

	rule_uses_look_again();
	broken = begin_migrate(migration);
	loop_transactions(true);
	transaction_commit();
	run_table_pieces(migration, broken, DOING_REPAIR, "repairing the trigger",
					 table_is_there, repair_table);
	fill_run(migration, STEP_BACKFILL, workers);
	after_fill_run(migration, before);
	build_run(migration, STEP_INDEX);
	build_run(migration, STEP_NOT_NULL);
	build_run(migration, STEP_CONSTRAINT);
	run_table_pieces(migration, sequence_type_smaller(migration->id), DOING_CONSTRAINT,
					 "giving the sequence the type of its new column",
					 sequence_is_to_be_widened, widen_sequence);
	build_run(migration, STEP_ANALYZE);
	fill_run(migration, STEP_VERIFY, workers);
	loop_transactions(false);
	transaction_commit();
	end_migrate(migration, started);
	transaction_commit();
	run_after_switch(arg);
}

static void
end_run(void *arg)
{
	rule_uses_look_again();
	loop_transactions(false);
	command_end();
}

void
runner_run(Migration *migration, int workers)
{
	Run			run = {migration, workers};
	bool		rest;

	migration_check(migration, ACTION_MIGRATE);
	migration_lock_runner(migration, true);
	migration_wait_for_workers(migration, WORKERS_WAIT_MS);
	/* the table is not verified again for each region that switches */
	rest = only_rows_are_left(migration);
	process_with_cleanup(rest ? run_after_switch : run_migration_steps, end_run,
						 &run);
	/* after an error the abort would have released it, as all locks */
	migration_unlock_runner(migration);
}
