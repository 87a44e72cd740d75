/*
 * migrate.c
 *		CALL tandem.migrate and tandem.verify: phase migrate.
 *
 * The steps in their order: backfill of each leaf table, the quarantine tried
 * again, verify of each leaf table.
 */
#include "postgres.h"

#include "access/table.h"
#include "api/arguments.h"
#include "backfill/quarantine_retry.h"
#include "backfill/run.h"
#include "backfill/verify.h"
#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/lock.h"
#include "executor/spi.h"
#include "core/security.h"
#include "core/sql_function.h"
#include "ddl/health.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "sync/fill_mark.h"
#include "sync/relation_rules.h"
#include "sync/trigger_row.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

SQL_FUNCTION(tandem_migrate);
SQL_FUNCTION(tandem_verify);

/* blocks that tandem.verify checks at a time */
#define VERIFY_BLOCKS 1024

static void
check_may_commit(FunctionCallInfo fcinfo)
{
	CallContext *context = (CallContext *) fcinfo->context;

	if (context == NULL || !IsA(context, CallContext) || context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("tandem.migrate cannot run inside a transaction block"),
				 errdetail("It commits after each batch."),
				 errhint("CALL tandem.migrate on its own, with autocommit on: not between BEGIN and COMMIT, nor in a function or DO block in a transaction.")));
}

static bool
exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

/*
 * Puts a trigger that was lost, disabled or changed back into force.  Rows
 * written meanwhile may look filled and are not, so nothing is taken for
 * granted any more: the fill begins anew, and looks at values.
 */
static void
repair_sync(Migration *migration, SyncRule *rule)
{
	char	   *problem = exists(rule->relation) ? sync_problem(rule) : NULL;
	ListCell   *lc;

	if (problem == NULL)
		return;
	lock_relations(table_tree(rule->relation), ShareRowExclusiveLock);
	foreach(lc, sync_list_of_relation(rule->relation))
		sync_set_origin(lfirst(lc), "");
	foreach(lc, table_leaves(rule->relation))
		step_restart(migration->id, lfirst_oid(lc));
	sync_install(rule->relation);
	if (sync_problem(rule) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync of table \"%s\" is broken",
						get_rel_name(rule->relation)),
				 errdetail("%s.", sync_problem(rule)),
				 errhint("Mend it, then CALL tandem.migrate(%s) again.",
						 quote_literal_cstr(migration->name))));
	migration_record(migration, "repair", problem, 0);
	ereport(NOTICE,
			(errmsg("sync of table \"%s\" was repaired",
					get_rel_name(rule->relation)),
			 errdetail("It was: %s.", problem)));
}

/* First transaction: the phase, the triggers, the list of steps. */
static void
begin_migrate(Migration *migration)
{
	List	   *leaves = NIL;
	ListCell   *lc;
	ListCell   *leaf;

	foreach(lc, sync_relations_of_migration(migration->id))
		security_check_owner(lfirst_oid(lc));
	migration_act(migration, ACTION_MIGRATE, NULL, 0);
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		repair_sync(migration, rule);
		if (exists(rule->relation))
			leaves = list_concat_unique_oid(leaves,
											table_leaves(rule->relation));
	}
	step_keep_only(migration->id, leaves);
	foreach(leaf, leaves)
	{
		step_ensure(migration->id, STEP_BACKFILL, lfirst_oid(leaf));
		step_ensure(migration->id, STEP_VERIFY, lfirst_oid(leaf));
	}
}

/*
 * Whether what was done holds for the trigger as it is.  Another trigger may
 * have been away: a partition is detached, written and attached again.  A
 * verification that met rows whose transform raises is to be made anew: they
 * may be mended by now.
 */
static bool
proof_holds(const Step *step)
{
	char	   *version = sync_trigger_version(step->relation);

	return step->proof && version && strcmp(step->proof, version) == 0 &&
		step->rows_quarantined == 0;
}

/* Whether every leaf table of the rule is filled, under its trigger of now. */
static bool
all_filled(const Migration *migration, const SyncRule *rule)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	ListCell   *lc;

	foreach(lc, table_leaves(rule->relation))
	{
		Step	   *fill = step_find(fills, lfirst_oid(lc));

		if (fill == NULL || !fill->done || !proof_holds(fill))
			return false;
	}
	return true;
}

/*
 * Tells the triggers that no row is unfilled any more: from now on they take
 * whatever a writer puts into a new column for his, NULL or the default too.
 */
static void
mark_filled(Migration *migration)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);
		char	   *filled;

		if (!exists(rule->relation) || !all_filled(migration, rule) ||
			strcmp(rule->origin, fill_mark_filled(table_leaves(rule->relation))) == 0)
			continue;
		lock_relations(table_tree(rule->relation), ShareRowExclusiveLock);
		/* again, now that nobody can attach a partition */
		filled = fill_mark_filled(table_leaves(rule->relation));
		if (!all_filled(migration, rule))
			continue;
		sync_set_origin(rule, filled);
		sync_install(rule->relation);
	}
}

static void
run_steps(Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		/* partitions come and go */
		if (!exists(step->relation) || !sync_trigger_version(step->relation))
			continue;
		if (step->done && proof_holds(step))
			continue;
		if (step->done)
			step->started = false;	/* from the first block */
		run_step(migration, step);
	}
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
end_migrate(Migration *migration, TimestampTz started, int64 quarantined)
{
	if (!step_all_done(migration->id))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("verify of migration \"%s\" found rows that are not right",
						migration->name),
				 errdetail("Everything that was filled is kept.%s",
						   has_one_way(migration)
						   ? " A one-way sync cannot tell a row whose new column was written on its own: if these are such rows, contract with force => true."
						   : ""),
				 errhint("See which: SELECT * FROM tandem.verify(%s); mend the rows or the sync, then CALL tandem.migrate again.",
						 quote_literal_cstr(migration->name))));
	migration_act(migration, ACTION_FINISH, NULL, started);
	if (quarantined > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg(INT64_FORMAT " rows of migration \"%s\" are in quarantine",
						quarantined, migration->name),
				 errhint("Mend the rows shown in tandem.quarantine, then CALL tandem.migrate(%s) again.",
						 quote_literal_cstr(migration->name))));
}

static void
migrate(Migration *migration)
{
	TimestampTz started = GetCurrentTimestamp();
	int64		quarantined;

	begin_migrate(migration);
	SPI_commit();
	run_steps(migration, STEP_BACKFILL);
	mark_filled(migration);
	SPI_commit();
	quarantined = quarantine_retry(migration);
	SPI_commit();
	run_steps(migration, STEP_VERIFY);
	end_migrate(migration, started, quarantined);
	SPI_commit();
}

Datum
tandem_migrate(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "migration");
	Migration  *migration;

	check_may_commit(fcinfo);
	PreventCommandDuringRecovery("tandem.migrate");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	migration = migration_get_for_change(name);
	migration_check(migration, ACTION_MIGRATE);
	migration_lock_runner(migration, true);
	migrate(migration);
	/* an error would have given it back, as its abort does with all locks */
	migration_unlock_runner(migration);
	SPI_finish();
	PG_RETURN_VOID();
}

/* One row of the result of tandem.verify: a leaf table in one snapshot. */
static void
verify_table(ReturnSetInfo *result, const Migration *migration,
			 const SyncRule *rule, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Trigger    *trigger = relation_sync_trigger(rel);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	SecurityScope scope;
	VerifyResult counts;
	RowState   *state;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has lost its sync trigger",
						RelationGetRelationName(rel)),
				 errhint("CALL tandem.migrate(%s) makes it anew.",
						 quote_literal_cstr(migration->name))));
	verify_result_init(&counts);
	security_enter_owner(&scope, rel, rule->search_path);
	state = row_state_create(rel, trigger);
	for (int64 first = 0; first < blocks; first += VERIFY_BLOCKS)
		verify_blocks(state, migration->name, first,
					  Min(first + VERIFY_BLOCKS, blocks) - 1, &counts);
	security_leave(&scope);
	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int64GetDatum(counts.rows_checked);
	values[2] = Int64GetDatum(counts.rows_unfilled);
	values[3] = Int64GetDatum(counts.rows_mismatched);
	values[4] = DirectFunctionCall1(jsonb_in,
									CStringGetDatum(verify_sample(&counts)));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	table_close(rel, AccessShareLock);
}

Datum
tandem_verify(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get(argument_text(fcinfo, 0, "migration"));
	List	   *seen = NIL;
	ListCell   *lc;
	ListCell   *leaf;

	migration_check(migration, ACTION_VERIFY);
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (!exists(rule->relation) || list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		security_check_owner(rule->relation);
		foreach(leaf, table_leaves(rule->relation))
			verify_table((ReturnSetInfo *) fcinfo->resultinfo, migration, rule,
						 lfirst_oid(leaf));
	}
	return (Datum) 0;
}
