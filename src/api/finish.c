/*
 * finish.c
 *		Ends a migration: contract or abort.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "release/drain.h"
#include "release/session.h"
#include "row/quarantine.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"
#include "trigger/install.h"
#include "views/views_end.h"

/* for column_dependents and the others in columns.h */
typedef List *(*ColumnLines) (Oid relid, const char *name, int migration_id);

/* A column to be dropped. */
typedef struct DroppedColumn
{
	Oid			relation;
	char	   *name;
} DroppedColumn;

/*-------------------------------------------------------------------------
 * What contract and abort have in common: removing syncs and columns.
 *-------------------------------------------------------------------------
 */

/*
 * Adds a column to the list unless it is in it, or not in the table any more.
 */
static List *
dropped_column_add(List *dropped, Oid relid, const char *name)
{
	ListCell   *lc;
	DroppedColumn *column;

	if (!relation_exists(relid) || get_attnum(relid, name) <= 0)
		return dropped;
	foreach(lc, dropped)
	{
		column = lfirst(lc);
		if (column->relation == relid && strcmp(column->name, name) == 0)
			return dropped;
	}
	column = palloc(sizeof(DroppedColumn));
	column->relation = relid;
	column->name = pstrdup(name);
	return lappend(dropped, column);
}

/* Returns the OIDs of all tables of the migration, with their partitions. */
static List *
finish_tables(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		relids = list_concat_unique_oid(relids, table_tree(lfirst_oid(lc)));
	return relids;
}

/*
 * Locks all tables of the migration, their partitions, the views of releases
 * over them, and the relations others, in ACCESS EXCLUSIVE mode, like
 * lock_relations.
 */
static void
finish_lock_tables(const Migration *migration, List *others)
{
	List	   *tables = sync_relations_of_migration(migration->id);
	List	   *relids = list_concat_unique_oid(list_copy(others),
												finish_tables(migration));

	/* so that no other view is created meanwhile */
	versioned_views_lock(tables, migration->release);
	lock_relations(list_concat_unique_oid(relids,
										  versioned_views_of(tables, migration->release)),
				   AccessExclusiveLock);
}

static List *
lines_of_dropped_column(List *all, const DroppedColumn *column, Oid relid,
						List *lines)
{
	ListCell   *lc;

	foreach(lc, lines)
		all = lappend(all, psprintf("column %s of table %s: %s",
									quote_identifier(column->name),
									quoting_relation(relid),
									(char *) lfirst(lc)));
	return all;
}

/*
 * Returns the lines of all columns, also of partitions, each with its column
 * and table in front.
 */
static List *
dropped_column_lines(List *dropped, ColumnLines lines,
					 const Migration *migration)
{
	List	   *all = NIL;
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, dropped)
	{
		DroppedColumn *column = lfirst(lc);

		foreach(table, table_tree(column->relation))
			all = lines_of_dropped_column(all, column, lfirst_oid(table),
										  lines(lfirst_oid(table), column->name,
												migration->id));
	}
	return all;
}

/* Returns "- line\n- line", for a DETAIL. */
static char *
lines_as_list(List *lines)
{
	return text_joined(lines, "- ", "\n");
}

/* Reports what will be dropped. */
static void
announce_drop(const Migration *migration, List *dropped)
{
	List	   *objects = dropped_column_lines(dropped,
											   column_objects_dropped_with, migration);

	if (objects != NIL)
		ereport(NOTICE,
				(errmsg("dropping columns of migration \"%s\" drops what is built on them",
						migration->name),
				 errdetail("%s", lines_as_list(objects))));
}

/*
 * Calls change, which alters the table.  If the current user lacks the rights
 * of the table's owner, for example as the database owner who aborts, switches
 * to that role.
 */
static void
finish_change_table(Oid relid, void (*change) (Oid relid, void *arg),
					void *arg)
{
	AuthorityScope scope;
	bool		entered = authority_enter_for(&scope, relid);

	change(relid, arg);
	if (entered)
		authority_leave(&scope);
}

static void
uninstall_sync_of_table(Oid relid, void *arg)
{
	sync_install(relid);
}

static void
drop_column_of_table(Oid relid, void *name)
{
	column_drop(relid, name);
}

/*
 * Called after the phase of the migration has changed.  Removes its syncs from
 * their tables, drops the columns, and deletes its records about rows.  Views
 * of releases stop showing the columns; views of retired releases are dropped.
 */
static void
finish_drop(const Migration *migration, List *dropped)
{
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		finish_change_table(lfirst_oid(lc), uninstall_sync_of_table, NULL);
	versioned_views_end(sync_relations_of_migration(migration->id),
						migration->id,
						migration->phase == PHASE_DONE ? migration->release : 0);
	announce_drop(migration, dropped);
	foreach(lc, dropped)
	{
		DroppedColumn *column = lfirst(lc);

		finish_change_table(column->relation, drop_column_of_table,
							column->name);
	}
	foreach(lc, sync_list_of_migration(migration->id))
		filled_leaf_forget(((SyncRule *) lfirst(lc))->id);
	migration_forget_rows(migration->id);
}

/* Returns "table.column, table.column" for tandem.history, or NULL if none. */
static char *
dropped_columns_describe(List *dropped)
{
	StringInfoData text;
	ListCell   *lc;

	if (dropped == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(lc, dropped)
	{
		DroppedColumn *column = lfirst(lc);

		appendStringInfo(&text, "%s%s.%s", text.len ? ", " : "dropped ",
						 quoting_relation(column->relation),
						 quote_identifier(column->name));
	}
	return text.data;
}

/*-------------------------------------------------------------------------
 * CALL tandem.contract: ends a migration after it was verified.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_contract);

/* Adds what is left to be done or verified on one leaf table. */
static List *
reasons_not_verified(List *reasons, List *fills, List *verifies, Oid relid)
{
	Step	   *fill = step_find(fills, relid);
	Step	   *verify = step_find(verifies, relid);
	char	   *version = sync_trigger_version(relid);
	char	   *table = quoting_relation(relid);

	if (fill == NULL || !fill->done)
		reasons = lappend(reasons, psprintf("table %s is not filled", table));
	if (verify == NULL || !verify->done)
		reasons = lappend(reasons,
						  verify && verify->rows_unfilled + verify->rows_mismatched > 0
						  ? psprintf("verify of table %s found " INT64_FORMAT " rows unfilled and " INT64_FORMAT " mismatched",
									 table, verify->rows_unfilled, verify->rows_mismatched)
						  : psprintf("table %s is not verified", table));
	else if (version == NULL || verify->trigger_version == NULL ||
			 strcmp(verify->trigger_version, version) != 0)
		reasons = lappend(reasons,
						  psprintf("the trigger of table %s was changed since verify", table));
	else if (rule_uses_changed(verify->uses,
							   rule_uses_of_table(relid, verify->migration_id)))
		reasons = lappend(reasons,
						  psprintf("a function or type that the sync of table %s uses was changed since verify",
								   table));
	else if (verify->rows_quarantined > 0)
		reasons = lappend(reasons,
						  psprintf("verify of table %s found " INT64_FORMAT " rows whose transform fails",
								   table, verify->rows_quarantined));
	return reasons;
}

/* Adds indexes, constraints and NOT NULLs that do not exist yet. */
static List *
reasons_not_built(List *reasons, int migration_id)
{
	for (StepKind kind = STEP_INDEX; kind <= STEP_CONSTRAINT; kind++)
	{
		ListCell   *lc;

		foreach(lc, step_list(migration_id, kind))
		{
			Step	   *step = lfirst(lc);

			if (step->done || !relation_exists(step->relation))
				continue;
			reasons = lappend(reasons,
							  psprintf("%s %s of table %s is not done",
									   step_kind_name(kind),
									   quote_identifier(step->object),
									   quoting_relation(step->relation)));
		}
	}
	return reasons;
}

/*
 * Returns the reasons why the data is not ready for contract; force ignores
 * them.  Sets *broken if one of them is that a rule can no longer be parsed,
 * with which migrate does not run.
 */
static List *
reasons_data_is_open(const Migration *migration, List *rules, bool *broken)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	List	   *verifies = step_list(migration->id, STEP_VERIFY);
	List	   *reasons = NIL;
	List	   *seen = NIL;
	int64		quarantined = quarantine_count(migration->id);
	ListCell   *lc;
	ListCell   *leaf;

	*broken = false;
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem;
		bool		locked;

		if (!relation_exists(rule->relation))
			continue;			/* dropped: nothing to lose */
		problem = sync_rule_problem(rule, &locked);
		*broken |= problem != NULL;
		if (problem)
			reasons = lappend(reasons,
							  psprintf("sync to %s: %s",
									   text_joined(rule->new_columns, "", ", "),
									   problem));
		problem = problem ? NULL : sync_trigger_problem(rule);
		if (problem)
			reasons = lappend(reasons, problem);
		if (list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		foreach(leaf, table_tree(rule->relation))
		{
			if (get_rel_relkind(lfirst_oid(leaf)) == RELKIND_FOREIGN_TABLE)
				reasons = lappend(reasons,
								  psprintf("partition %s is a foreign table: its rows cannot be filled from here",
										   quoting_relation(lfirst_oid(leaf))));
		}
		foreach(leaf, table_leaves(rule->relation))
			reasons = reasons_not_verified(reasons, fills, verifies,
										   lfirst_oid(leaf));
	}
	reasons = reasons_not_built(reasons, migration->id);
	if (quarantined > 0)
		reasons = lappend(reasons,
						  psprintf(quarantined == 1
								   ? INT64_FORMAT " row is in quarantine"
								   : INT64_FORMAT " rows are in quarantine",
								   quarantined));
	return reasons;
}

static List *
columns_to_drop(List *rules)
{
	List	   *dropped = NIL;
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->keep_old)
			continue;
		foreach(name, rule->old_columns)
			dropped = dropped_column_add(dropped, rule->relation,
										 lfirst(name));
	}
	return dropped;
}

/*
 * Returns the reasons why the columns cannot be dropped; force does not help.
 */
static List *
reasons_columns_stay(const Migration *migration, List *dropped)
{
	return list_concat(dropped_column_lines(dropped, column_keys, migration),
					   dropped_column_lines(dropped, column_dependents,
											migration));
}

static char *
hint_to_make_ready(const Migration *migration, bool broken, bool quarantined)
{
	char	   *name = quote_literal_cstr(migration->name);

	if (broken)
		return psprintf("Undo what has changed, then run CALL tandem.migrate(%s), then contract; or end the migration: CALL tandem.abort(%s);",
						name, name);
	if (quarantined)
		return psprintf("Fix the rows shown in tandem.quarantine, then run CALL tandem.migrate(%s), then contract.",
						name);
	return psprintf("Run CALL tandem.migrate(%s), then contract.", name);
}

/*
 * Throws an error that lists all that is open.  With force, only what prevents
 * dropping the columns.
 */
static void
check_ready_to_contract(const Migration *migration, List *rules,
						List *dropped, bool force)
{
	bool		broken = false;
	List	   *questions = force ? NIL
	: reasons_data_is_open(migration, rules, &broken);
	bool		quarantined = questions != NIL && quarantine_count(migration->id) > 0;
	List	   *reasons;

	/* rows that an extension keeps elsewhere were not verified */
	table_rows_check_local(finish_tables(migration));
	if (questions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" is not ready for contract", migration->name),
				 errdetail("%s", lines_as_list(questions)),
				 errhint("%s", hint_to_make_ready(migration, broken, quarantined))));
	reasons = reasons_columns_stay(migration, dropped);
	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("old columns of migration \"%s\" are still in use",
						migration->name),
				 errdetail("%s", lines_as_list(reasons)),
				 errhint("Move these to the new columns, drop them or end those migrations, then contract; or abort, and create the sync again with keep_old => true.")));
	/* report this before older releases are refused, not after */
	versioned_views_check_end(sync_relations_of_migration(migration->id),
							  migration->id, migration->release);
}

static void
check_undeclared_name(const char *undeclared)
{
	static const char *const choices[] = {"refuse", "ignore"};

	(void) text_choice("undeclared", undeclared, choices, lengthof(choices));
}

/*
 * Sessions that have written the tables and not declared a release.  With
 * may_wait, looks again for up to 200 ms before it fails; do not pass true
 * while tables are locked.
 */
static void
check_undeclared_writers(const Migration *migration, const char *undeclared,
						 bool may_wait)
{
	List	   *sessions;
	int			count;

	if (strcmp(undeclared, "ignore") == 0 || migration->release == 0)
		return;
	sessions = sessions_undeclared_writers(migration->id, may_wait);
	count = list_length(sessions);
	if (count == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg_plural("%d session that has written tables of migration \"%s\" has not declared a release",
						   "%d sessions that have written tables of migration \"%s\" have not declared a release",
						   count, count, migration->name),
			 errdetail("%s", lines_as_list(sessions)),
			 errhint("Have the application set tandem.release, with pg_tandem in session_preload_libraries; or, if the old release is no longer running, run CALL tandem.contract(%s, undeclared => 'ignore');",
					 quote_literal_cstr(migration->name))));
}

/*
 * These are for monitoring, backups and administration, or have only read so
 * far.
 */
static void
list_undeclared(const Migration *migration, const char *undeclared)
{
	List	   *sessions;
	int			count;

	if (strcmp(undeclared, "ignore") == 0 || migration->release == 0)
		return;
	sessions = sessions_undeclared_others(migration->id);
	count = list_length(sessions);
	if (count == 0)
		return;
	ereport(NOTICE,
			(errmsg_plural("%d other session has declared no release, and has written no table of the migration",
						   "%d other sessions have declared no release, and have written no table of the migration",
						   count, count),
			 errdetail("%s", lines_as_list(sessions))));
}

/*
 * What these do the fence does not see, also where they have said a release:
 * that serves the dual write only.
 */
static void
count_sessions_not_fenced(const Migration *migration)
{
	int			count = migration->release > 0 ? sessions_not_fenced() : 0;

	if (count == 0)
		return;
	ereport(NOTICE,
			(errmsg_plural("%d other client session has not preloaded pg_tandem",
						   "%d other client sessions have not preloaded pg_tandem",
						   count, count),
			 errdetail("Contract neither refuses nor waits for a session that has not, whatever release it says."),
			 errhint("Set session_preload_libraries = 'pg_tandem' for the database or the roles of the application, and connect again.")));
}

typedef struct ContractCall
{
	char	   *name;
	bool		force;
	char	   *undeclared;
} ContractCall;

/*
 * Until the end of the transaction no other session changes or runs the
 * migration.
 */
static void
claim_contract(Migration *migration, const ContractCall *call)
{
	migration_check(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT);
	migration_lock_runner(migration, false);
	check_undeclared_writers(migration, call->undeclared, true);
}

/* Checks what is open before anything is done. */
static Migration *
check_contract_call(const ContractCall *call)
{
	Migration  *migration = migration_get_for_change(call->name);
	List	   *rules = sync_list_of_migration(migration->id);

	/*
	 * before phase contract, the list of open steps says more than the phase
	 */
	if (migration->phase != PHASE_MIGRATE)
		migration_check(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT);
	check_ready_to_contract(migration, rules, columns_to_drop(rules),
							call->force);
	claim_contract(migration, call);
	return migration;
}

/* Runs in one transaction, after the old releases have ended. */
static void
contract_in_transaction(Migration *migration, const ContractCall *call,
						int64 started)
{
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *dropped = columns_to_drop(rules);

	drain_lock(migration);
	finish_lock_tables(migration, NIL);
	/* again, now that it cannot change any more */
	check_ready_to_contract(migration, rules, dropped, call->force);
	check_undeclared_writers(migration, call->undeclared, false);
	migration_act(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT,
				  dropped_columns_describe(dropped), started);
	run_control_end_background(migration->id);
	drain_finish(migration);
	finish_drop(migration, dropped);
}

typedef struct FencedContract
{
	const ContractCall *call;
	int64		started;
} FencedContract;

static void
contract_behind_fence(void *arg)
{
	FencedContract *fenced = arg;
	Migration  *migration = migration_get_for_change(fenced->call->name);

	/* the wait has committed, so the migration may have been changed */
	claim_contract(migration, fenced->call);
	contract_in_transaction(migration, fenced->call, fenced->started);
}

/* Refuses older releases first.  After an error they may work again. */
static void
contract_without_older_releases(Migration *migration, const ContractCall *call,
								int64 started)
{
	FencedContract fenced = {call, started};
	ErrorData  *error;

	/*
	 * a session lock, to survive the commits of the wait; an error releases
	 * it
	 */
	migration_lock_runner(migration, true);
	error = drain_old_releases(migration, finish_tables(migration),
							   setting_lock_retry_time * 1000, call->force);
	if (error == NULL)
		error = drain_step(contract_behind_fence, &fenced);
	drain_end(migration, error);
	migration_unlock_runner(migration);
}

Datum
tandem_contract(PG_FUNCTION_ARGS)
{
	int64		started = clock_now();
	ContractCall call = {
		.name = argument_text(fcinfo, 0, "migration"),
		.force = argument_bool(fcinfo, 1, "force"),
		.undeclared = argument_text(fcinfo, 2, "undeclared")
	};
	bool		atomic = !procedure_may_commit(fcinfo);
	Migration  *migration;

	check_undeclared_name(call.undeclared);
	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
	migration = check_contract_call(&call);
	list_undeclared(migration, call.undeclared);
	count_sessions_not_fenced(migration);
	/* before tables are locked */
	migration_forget_old();
	if (!atomic && migration->release > 0)
		contract_without_older_releases(migration, &call, started);
	else
	{
		drain_within_transaction(migration, finish_tables(migration),
								 call.force);
		contract_in_transaction(migration, &call, started);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * CALL tandem.abort: undoes a migration at any time before its end.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_abort);

/* the runner checks at each batch, which takes about tandem.batch_target */
#define STOP_WAIT_MS 30000

static List *
columns_of_migration(const Migration *migration)
{
	List	   *dropped = NIL;
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, sync_relations_of_migration(migration->id))
	{
		foreach(name, owned_column_list(migration->id, lfirst_oid(lc)))
			dropped = dropped_column_add(dropped, lfirst_oid(lc),
										 lfirst(name));
	}
	return dropped;
}

static void
check_no_dependents(const Migration *migration, List *dropped)
{
	List	   *keys = dropped_column_lines(dropped, column_moved_keys,
											migration);
	List	   *reasons = list_concat_copy(keys,
										   dropped_column_lines(dropped,
																column_dependents, migration));

	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("new columns of migration \"%s\" are in use",
						migration->name),
				 errdetail("%s", lines_as_list(reasons)),
				 errhint("%s, or abort those migrations, then run CALL tandem.abort(%s) again.",
						 keys != NIL ? "Move the keys back to the old columns, drop what else is listed"
						 : "Drop these",
						 quote_literal_cstr(migration->name))));
}

/* Returns the tables that foreign keys of the migration refer to. */
static List *
referred_tables(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, step_list(migration->id, STEP_CONSTRAINT))
		relids = list_concat_unique_oid(relids,
										constraint_build_locks(lfirst(lc)));
	return relids;
}

static void
undo_build_of_table(Oid relid, void *arg)
{
	Step	   *step = arg;

	switch (step->kind)
	{
		case STEP_CONSTRAINT:
			constraint_build_undo(step);
			break;
		case STEP_NOT_NULL:
			not_null_build_undo(step);
			break;
		default:
			index_build_undo(step);
			break;
	}
}

static void
undo_steps_of_kind(const Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		finish_change_table(step->relation, undo_build_of_table, step);
	}
}

/* Undoes what was built in reverse order: a constraint before its index. */
static void
undo_all_builds(const Migration *migration)
{
	undo_steps_of_kind(migration, STEP_CONSTRAINT);
	undo_steps_of_kind(migration, STEP_NOT_NULL);
	undo_steps_of_kind(migration, STEP_INDEX);
}

Datum
tandem_abort(PG_FUNCTION_ARGS)
{
	int64		started = clock_now();
	Migration  *migration = migration_get_for_abort(argument_text(fcinfo, 0, "migration"));
	List	   *dropped = columns_of_migration(migration);

	migration_check(migration, ACTION_ABORT);
	check_no_dependents(migration, dropped);
	/* before tables are locked */
	migration_forget_old();
	migration_stop_runner(migration, STOP_WAIT_MS);
	drain_lock(migration);
	finish_lock_tables(migration, referred_tables(migration));
	check_no_dependents(migration, dropped);
	migration_act(migration, ACTION_ABORT, dropped_columns_describe(dropped),
				  started);
	run_control_end_background(migration->id);
	drain_undo(migration);
	undo_all_builds(migration);
	finish_drop(migration, dropped);
	PG_RETURN_VOID();
}
