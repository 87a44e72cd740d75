/*
 * contract.c
 *		CALL tandem.contract: the end of a migration, once it is proved right.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/finish.h"
#include "catalog/migration.h"
#include "catalog/migration_forget.h"
#include "catalog/migration_lock.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/quoting.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/subtransaction.h"
#include "core/table_rows.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/health.h"
#include "ddl/partitions.h"
#include "ddl/versioned_view.h"
#include "release/declared.h"
#include "release/drain.h"
#include "sync/quarantine.h"
#include "sync/trigger_row.h"

SQL_FUNCTION(tandem_contract);

/* What is left to do or to prove on one leaf table. */
static List *
unproved(List *reasons, List *fills, List *proofs, Oid relid)
{
	Step	   *fill = step_find(fills, relid);
	Step	   *proof = step_find(proofs, relid);
	char	   *version = sync_trigger_version(relid);
	char	   *table = quoting_relation(relid);

	if (fill == NULL || !fill->done)
		reasons = lappend(reasons, psprintf("table %s is not filled", table));
	if (proof == NULL || !proof->done)
		reasons = lappend(reasons,
						  proof && proof->rows_unfilled + proof->rows_mismatched > 0
						  ? psprintf("verify of table %s found " INT64_FORMAT " rows unfilled and " INT64_FORMAT " mismatched",
									 table, proof->rows_unfilled, proof->rows_mismatched)
						  : psprintf("table %s is not verified", table));
	else if (version == NULL || proof->proof == NULL ||
			 strcmp(proof->proof, version) != 0)
		reasons = lappend(reasons,
						  psprintf("the trigger of table %s was changed since verify", table));
	else if (proof->rows_quarantined > 0)
		reasons = lappend(reasons,
						  psprintf("verify of table %s found " INT64_FORMAT " rows whose transform fails",
								   table, proof->rows_quarantined));
	return reasons;
}

/* Indexes, constraints and NOT NULLs that are not there yet. */
static List *
unbuilt(List *reasons, int migration_id)
{
	for (StepKind kind = STEP_INDEX; kind <= STEP_CONSTRAINT; kind++)
	{
		ListCell   *lc;

		foreach(lc, step_list(migration_id, kind))
		{
			Step	   *step = lfirst(lc);

			if (step->done || quoting_find_name(step->relation) == NULL)
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

/* Why the data is not ready for contract: force passes over it. */
static List *
open_questions(const Migration *migration, List *rules)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	List	   *proofs = step_list(migration->id, STEP_VERIFY);
	List	   *reasons = NIL;
	List	   *seen = NIL;
	int64		quarantined = quarantine_count(migration->id);
	ListCell   *lc;
	ListCell   *leaf;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem;

		if (quoting_find_name(rule->relation) == NULL)
			continue;			/* nothing left to lose */
		problem = sync_problem(rule);
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
			reasons = unproved(reasons, fills, proofs, lfirst_oid(leaf));
	}
	reasons = unbuilt(reasons, migration->id);
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
	List	   *doomed = NIL;
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->keep_old)
			continue;
		foreach(name, rule->old_columns)
			doomed = doomed_add(doomed, rule->relation, lfirst(name));
	}
	return doomed;
}

/* Why the columns cannot be dropped: nothing passes over it. */
static List *
obstacles(const Migration *migration, List *doomed)
{
	return list_concat(doomed_lines(doomed, column_keys, migration),
					   doomed_lines(doomed, column_dependents, migration));
}

static void
check_gate(const Migration *migration, List *rules, List *doomed, bool force)
{
	List	   *questions = force ? NIL : open_questions(migration, rules);
	bool		quarantined = questions != NIL && quarantine_count(migration->id) > 0;
	List	   *reasons;

	/* the rows that an extension has elsewhere were not looked at */
	table_rows_check_local(finish_tables(migration));
	if (questions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" is not ready for contract", migration->name),
				 errdetail("%s", lines_as_list(questions)),
				 quarantined
				 ? errhint("Fix the rows shown in tandem.quarantine, then run CALL tandem.migrate(%s), then contract.",
						   quote_literal_cstr(migration->name))
				 : errhint("Run CALL tandem.migrate(%s), then contract.",
						   quote_literal_cstr(migration->name))));
	reasons = obstacles(migration, doomed);
	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("old columns of migration \"%s\" are still in use",
						migration->name),
				 errdetail("%s", lines_as_list(reasons)),
				 errhint("Move these to the new columns or drop them, then contract; or abort, and create the sync again with keep_old => true.")));
	/* known before older releases are refused, not after */
	versioned_views_check_retired(sync_relations_of_migration(migration->id),
								  migration->release);
}

static void
check_undeclared_name(const char *undeclared)
{
	static const char *const choices[] = {"refuse", "ignore"};

	(void) text_choice("undeclared", undeclared, choices, lengthof(choices));
}

/*
 * Sessions of which nobody can say which release they are, and that have
 * written the tables.  may_wait: not with tables locked.
 */
static void
check_undeclared(const Migration *migration, const char *undeclared,
				 bool may_wait)
{
	List	   *sessions;
	int			count;

	if (strcmp(undeclared, "ignore") == 0 || migration->release == 0)
		return;
	sessions = declared_not(migration->id, may_wait);
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

/* Monitoring, backups, administrators; and nodes that have only read so far. */
static void
list_undeclared(const Migration *migration, const char *undeclared)
{
	List	   *sessions;
	int			count;

	if (strcmp(undeclared, "ignore") == 0 || migration->release == 0)
		return;
	sessions = declared_not_others(migration->id);
	count = list_length(sessions);
	if (count == 0)
		return;
	ereport(NOTICE,
			(errmsg_plural("%d other session has declared no release, and has written no table of the migration",
						   "%d other sessions have declared no release, and have written no table of the migration",
						   count, count),
			 errdetail("%s", lines_as_list(sessions))));
}

typedef struct ContractCall
{
	char	   *name;
	bool		force;
	char	   *undeclared;
} ContractCall;

/* For the transaction: nobody else changes the migration, or runs it. */
static void
claim_contract(Migration *migration, const ContractCall *call)
{
	migration_check(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT);
	migration_lock_runner(migration, false);
	check_undeclared(migration, call->undeclared, true);
}

/* Says what is open before anything is done. */
static Migration *
check_contract(const ContractCall *call)
{
	Migration  *migration = migration_get_for_change(call->name);
	List	   *rules = sync_list_of_migration(migration->id);

	/* of one that is not done yet the gate tells more than the phase */
	if (migration->phase != PHASE_MIGRATE)
		migration_check(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT);
	check_gate(migration, rules, columns_to_drop(rules), call->force);
	claim_contract(migration, call);
	return migration;
}

/* In one transaction, once the old releases have ended. */
static void
contract(Migration *migration, const ContractCall *call, int64 started)
{
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *doomed = columns_to_drop(rules);

	drain_lock(migration);
	finish_lock_tables(migration, NIL);
	/* again, now that nobody can change it any more */
	check_gate(migration, rules, doomed, call->force);
	check_undeclared(migration, call->undeclared, false);
	migration_act(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT,
				  doomed_describe(doomed), started);
	run_control_end_background(migration->id);
	drain_finish(migration);
	finish_drop(migration, doomed);
}

typedef struct FencedContract
{
	const ContractCall *call;
	int64		started;
} FencedContract;

static void
contract_fenced(void *arg)
{
	FencedContract *fenced = arg;
	Migration  *migration = migration_get_for_change(fenced->call->name);

	/* the wait has committed: others may have changed it */
	claim_contract(migration, fenced->call);
	contract(migration, fenced->call, fenced->started);
}

/* Older releases are refused first; an error lets them work again. */
static void
contract_alone(Migration *migration, const ContractCall *call,
			   int64 started)
{
	FencedContract fenced = {call, started};
	ErrorData  *error;

	/* over the commits of the wait; an error ends it */
	migration_lock_runner(migration, true);
	error = drain_old_releases(migration, finish_tables(migration),
							   setting_lock_retry_time * 1000, call->force);
	if (error == NULL)
		error = drain_step(contract_fenced, &fenced);
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
	migration = check_contract(&call);
	list_undeclared(migration, call.undeclared);
	/* before tables are locked */
	migration_forget_old();
	if (!atomic && migration->release > 0)
		contract_alone(migration, &call, started);
	else
	{
		drain_within_transaction(migration, finish_tables(migration),
								 call.force);
		contract(migration, &call, started);
	}
	SPI_finish();
	PG_RETURN_VOID();
}
