/*
 * abort.c
 *		CALL tandem.abort: undoes a migration at any moment before its end.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/finish.h"
#include "catalog/migration.h"
#include "catalog/migration_forget.h"
#include "catalog/migration_lock.h"
#include "catalog/owned_column.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/sql_function.h"
#include "ddl/columns.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "release/drain.h"

SQL_FUNCTION(tandem_abort);

/* a runner looks for a stop at every batch, which takes tandem.batch_target */
#define STOP_WAIT_MS 30000

static List *
owned_columns(const Migration *migration)
{
	List	   *doomed = NIL;
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, sync_relations_of_migration(migration->id))
	{
		foreach(name, owned_column_list(migration->id, lfirst_oid(lc)))
			doomed = doomed_add(doomed, lfirst_oid(lc), lfirst(name));
	}
	return doomed;
}

static void
check_dependents(const Migration *migration, List *doomed)
{
	List	   *keys = doomed_lines(doomed, column_moved_keys, migration);
	List	   *reasons = list_concat_copy(keys, doomed_lines(doomed, column_dependents, migration));

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

/* Tables that constraints of the migration refer to. */
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
undo_build(Oid relid, void *arg)
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
undo_kind(const Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		finish_change_table(step->relation, undo_build, step);
	}
}

/* What was built, the last first: a constraint goes before its index. */
static void
undo_builds(const Migration *migration)
{
	undo_kind(migration, STEP_CONSTRAINT);
	undo_kind(migration, STEP_NOT_NULL);
	undo_kind(migration, STEP_INDEX);
}

Datum
tandem_abort(PG_FUNCTION_ARGS)
{
	int64		started = clock_now();
	Migration  *migration = migration_get_for_abort(argument_text(fcinfo, 0, "migration"));
	List	   *doomed = owned_columns(migration);

	migration_check(migration, ACTION_ABORT);
	check_dependents(migration, doomed);
	/* before tables are locked */
	migration_forget_old();
	migration_stop_runner(migration, STOP_WAIT_MS);
	drain_lock(migration);
	finish_lock_tables(migration, referred_tables(migration));
	check_dependents(migration, doomed);
	migration_act(migration, ACTION_ABORT, doomed_describe(doomed), started);
	run_control_end_background(migration->id);
	drain_undo(migration);
	undo_builds(migration);
	finish_drop(migration, doomed);
	PG_RETURN_VOID();
}
