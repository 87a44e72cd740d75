/*
 * runner.c
 *		All steps of a migration, in their order: backfill of each leaf table,
 *		the quarantine tried again, indexes, NOT NULL, constraints, statistics,
 *		verify of each leaf table.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/filled_leaf.h"
#include "catalog/migration_lock.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/transaction.h"
#include "core/authority.h"
#include "core/quoting.h"
#include "ddl/health.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "worker/after_fill.h"
#include "worker/build.h"
#include "worker/fill.h"
#include "worker/runner.h"

/* a worker of a runner that was terminated ends with its statement */
#define WORKERS_WAIT_MS 10000

static bool
exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

/*
 * Puts a trigger that was lost, disabled or changed back into force.  Rows
 * written meanwhile may look filled and are not, so nothing is taken for
 * granted any more: the fill begins again, and looks at values.
 */
static void
repair_sync(Migration *migration, SyncRule *rule)
{
	char	   *problem = exists(rule->relation) ? sync_problem(rule) : NULL;
	char	   *left;
	ListCell   *lc;

	if (problem == NULL)
		return;
	lock_relations(table_tree(rule->relation), ShareRowExclusiveLock);
	foreach(lc, sync_list_of_relation(rule->relation))
	{
		sync_set_origin(lfirst(lc), "");
		filled_leaf_forget(((SyncRule *) lfirst(lc))->id);
	}
	foreach(lc, table_leaves(rule->relation))
		step_restart(migration->id, lfirst_oid(lc));
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

/* Until the end of the transaction, as the loop does before each piece. */
static void
apply_settings(const Migration *migration)
{
	run_control_apply_settings(run_control_get(migration->id));
}

/* The tables to fill and to verify, as they are now. */
static List *
leaves_of_migration(const Migration *migration)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (exists(rule->relation))
			leaves = list_concat_unique_oid(leaves,
											table_leaves(rule->relation));
	}
	return leaves;
}

/* First transaction: the phase, the triggers, the list of steps. */
static void
begin_migrate(Migration *migration)
{
	List	   *leaves;
	ListCell   *lc;
	ListCell   *leaf;

	apply_settings(migration);
	migration_act(migration, ACTION_MIGRATE, NULL, 0);
	foreach(lc, sync_list_of_migration(migration->id))
		repair_sync(migration, lfirst(lc));
	leaves = leaves_of_migration(migration);
	step_keep_only(migration->id, leaves);
	foreach(leaf, leaves)
	{
		step_ensure(migration->id, STEP_BACKFILL, lfirst_oid(leaf));
		step_ensure(migration->id, STEP_VERIFY, lfirst_oid(leaf));
	}
	foreach(lc, sync_list_of_migration(migration->id))
		step_ensure(migration->id, STEP_ANALYZE,
					((SyncRule *) lfirst(lc))->relation);
	run_control_set_error(migration->id, NULL, NULL);
}

bool
runner_is_done(const Migration *migration)
{
	ListCell   *lc;

	if (migration->phase != PHASE_CONTRACT || !step_all_done(migration->id))
		return false;
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (exists(rule->relation) &&
			(sync_problem(rule) != NULL || !fill_is_complete(migration, rule)))
			return false;
	}
	foreach(lc, step_list(migration->id, STEP_VERIFY))
	{
		if (exists(((Step *) lfirst(lc))->relation) &&
			!fill_proof_holds(lfirst(lc)))
			return false;
	}
	return true;
}

static bool
has_one_way(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
	{
		if (((SyncRule *) lfirst(lc))->down == NIL)
			return true;
	}
	return false;
}

static void
end_migrate(Migration *migration, int64 started, int64 quarantined)
{
	/* partitions may have been detached or dropped meanwhile */
	step_keep_only(migration->id, leaves_of_migration(migration));
	if (!step_all_done(migration->id))
	{
		bool		one_way = has_one_way(migration);

		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("verify of migration \"%s\" found unfilled or mismatched rows",
						migration->name),
				 errdetail("Everything that was filled is kept.%s",
						   one_way
						   ? " A one-way sync cannot tell a row whose new column was written on its own: if these are such rows, contract with force => true."
						   : ""),
				 errhint("See which: SELECT * FROM tandem.verify(%s); fix the rows or the sync, then call tandem.migrate again.",
						 quote_literal_cstr(migration->name))));
	}
	migration_act(migration, ACTION_FINISH, NULL, started);
	run_control_end_background(migration->id);
	if (quarantined > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg_plural(INT64_FORMAT " row of migration \"%s\" is in quarantine",
							   INT64_FORMAT " rows of migration \"%s\" are in quarantine",
							   (unsigned long) quarantined,
							   quarantined, migration->name),
				 errhint("Fix the rows shown in tandem.quarantine, then run CALL tandem.migrate(%s) again.",
						 quote_literal_cstr(migration->name))));
}

static void
run_steps(Migration *migration, int workers)
{
	int64		started = clock_now();
	int64		quarantined;

	begin_migrate(migration);
	transaction_commit();
	fill_run(migration, STEP_BACKFILL, workers);
	quarantined = after_fill_run(migration);
	build_run(migration, STEP_INDEX);
	build_run(migration, STEP_NOT_NULL);
	build_run(migration, STEP_CONSTRAINT);
	build_run(migration, STEP_ANALYZE);
	fill_run(migration, STEP_VERIFY, workers);
	end_migrate(migration, started, quarantined);
	transaction_commit();
}

void
runner_run(Migration *migration, int workers)
{
	migration_check(migration, ACTION_MIGRATE);
	migration_lock_runner(migration, true);
	migration_wait_for_workers(migration, WORKERS_WAIT_MS);
	run_steps(migration, workers);
	/* an error would have given it back, as its abort does with all locks */
	migration_unlock_runner(migration);
}
