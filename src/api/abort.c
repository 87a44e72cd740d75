/*
 * abort.c
 *		CALL tandem.abort: undoes a migration at any time before its end.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/finish.h"
#include "api/take_keys.h"
#include "catalog/after_switch.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/operation.h"
#include "catalog/owned_column.h"
#include "catalog/registry.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "ddl/sequence_type.h"
#include "ending/build_users.h"
#include "ending/built.h"
#include "ending/losses.h"
#include "ending/tables.h"
#include "region/gate.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"
#include "release/drain.h"

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
	build_users_check(migration);
	tables_check_abort(migration);
}

/* Returns the tables that foreign keys of the migration, and of its tables, refer to. */
static List *
referred_tables(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, step_list(migration->id, STEP_CONSTRAINT))
		relids = list_concat_unique_oid(relids,
										constraint_build_locks(lfirst(lc)));
	return list_concat_unique_oid(relids,
								  tables_referred_to(operation_tables(migration->id, OPERATION_ADD_TABLE)));
}

static void
undo_build_of_table(Oid relid, void *arg)
{
	Step	   *step = arg;

	if (step_object_is_another(step))
	{
		ereport(NOTICE,
				(errmsg("%s %s of table %s stays: it is another one than the migration has built",
						step_kind_name(step->kind),
						quote_identifier(step->object),
						quoting_relation(relid))));
		return;
	}
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
	List	   *steps = step_list(migration->id, kind);

	/* a foreign key before the key that it refers to */
	for (int i = list_length(steps) - 1; i >= 0; i--)
	{
		Step	   *step = list_nth(steps, i);

		finish_change_table(migration, step->relation, undo_build_of_table,
							step);
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

/*
 * Returns a line for each function of a trigger, or of the table's own
 * expressions, that names a column that goes.
 */
static List *
functions_that_name(List *dropped)
{
	List	   *columns = dropped_columns_of_trees(dropped);
	List	   *lines = NIL;
	ListCell   *lc;
	ListCell   *of_column;
	ListCell   *line;

	if (columns == NIL)
		return NIL;
	forboth(lc, columns, of_column, column_naming_functions(columns, 0))
	{
		const TableColumn *column = lfirst(lc);

		foreach(line, lfirst(of_column))
			lines = lappend(lines,
							psprintf("table %s: %s names column %s: each write that fires it may fail",
									 quoting_relation(column->relation),
									 (char *) lfirst(line),
									 quote_identifier(column->name)));
	}
	return lines;
}

/* Throws an error if lines says that values would be lost. */
static void
check_nothing_is_lost(const Migration *migration, List *dropped, List *lines)
{
	char	   *name = quote_literal_cstr(migration->name);

	lines = list_concat(lines, functions_that_name(dropped));
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("abort of migration \"%s\" would lose what only its new columns have",
					migration->name),
			 errdetail("%s", lines_as_list(lines)),
			 errhint("Save the values that are still needed; tandem.quarantine shows rows in quarantine. Then run CALL tandem.abort(%s, force => true);",
					 name)));
}

/*
 * This database will take what the release before sees: without the columns of
 * later ones, which nobody would make up for.
 */
static void
check_no_later_release(const Migration *migration)
{
	char	   *later = migration->release > 0 && release_publication_exists()
	? migration_open_after(migration->release) : NULL;

	if (later)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" of a later release is open", later),
				 errdetail("After abort of migration \"%s\" this server would not be sent the columns of that release.",
						   migration->name),
				 errhint("Run CALL tandem.abort(%s); first.",
						 quote_literal_cstr(later))));
}

/* A right that is missing is found before the run is stopped, not after. */
static void
check_publications(const Migration *migration, int before)
{
	check_no_later_release(migration);
	release_publication_check_end(migration, 0);
	if (before > 0)
		release_subscription_check(before);
}

/*
 * What was changed after a switch that has been taken back stays: release N-1 may not
 * know it.
 */
static void
check_changed_back(const Migration *migration, bool force)
{
	ListCell   *lc;

	foreach(lc, after_switch_list(migration->id))
	{
		AfterSwitch *change = lfirst(lc);

		if (force || !change->changed || !relation_exists(change->relation))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of table \"%s\" were changed after the switch, and not back",
						quoting_shown_name(change->relation)),
				 errdetail("Set: %s. Condition: %s.", change->set_given, change->condition_given),
				 change->back != NIL
				 ? errhint("Switch back to the release before with tandem.switch_release, run CALL tandem.migrate(%s), then abort. With force => true the rows stay as they are.",
						   quote_literal_cstr(migration->name))
				 : errhint("Nothing was given to change them back: UPDATE them if that is needed, then run CALL tandem.abort(%s, force => true);",
						   quote_literal_cstr(migration->name))));
	}
}

/* A later release gives a column the name that this migration was to free. */
static void
check_names_stay_free(const Migration *migration)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_int(&query, migration->id);
	lines = query_texts(&query,
						"SELECT DISTINCT format('column %I of table %s: migration %I of release %s gives its name to another one', l.new_name, l.relation, m.name, m.release) "
						"FROM tandem.sync o JOIN tandem.migration this ON this.id = o.migration JOIN tandem.sync l ON l.relation = o.relation AND l.new_name = ANY (o.old_columns) "
						"AND l.new_name <> ALL (l.old_columns) "
						"JOIN tandem.migration m ON m.id = l.migration AND m.phase NOT IN ('done', 'aborted') AND m.release > this.release "
						"WHERE o.migration = $1 AND (NOT o.keep_old OR o.new_name IS NOT NULL) ORDER BY 1");
	query_end(&query);
	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" frees names that a later release has given", migration->name),
				 errdetail("%s", lines_as_list(lines)),
				 errhint("Abort that migration first.")));
}

static int
release_to_switch_back_to(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	return query_end_int(&query, query_run_latest(&query,
												  "SELECT coalesce(max(release), 0) FROM tandem.releases WHERE release < $1 AND state = 'ready'"));
}

/*
 * The nodes of the release would go on without its columns and tables.  From those of a later
 * one nothing is taken that they see, whatever is aborted.
 */
static void
check_not_current(const Migration *migration, bool force)
{
	Registry	registry;
	int			back;

	if (force || migration->release == 0)
		return;
	registry_read(&registry);
	if (registry.current != migration->release)
		return;
	back = release_to_switch_back_to(migration->release);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" cannot be aborted while its release %d is the current one",
					migration->name, migration->release),
			 errdetail("Its nodes would be left without what the migration has added, and without views."),
			 back > 0
			 ? errhint("Switch the nodes back first: SELECT tandem.switch_release(%d); or, if none is left, run CALL tandem.abort(%s, force => true);",
					   back, quote_literal_cstr(migration->name))
			 : errhint("If no node of it is left, run CALL tandem.abort(%s, force => true);",
					   quote_literal_cstr(migration->name))));
}

/* Its nodes are not refused until another release is the current one. */
static void
warn_if_current(const Migration *migration)
{
	Registry	registry;
	int			back;

	if (migration->release == 0)
		return;
	registry_read(&registry);
	if (registry.current != migration->release)
		return;
	back = release_to_switch_back_to(migration->release);
	ereport(WARNING,
			(errmsg("release %d of the aborted migration \"%s\" is still the current one",
					migration->release, migration->name),
			 errdetail("Its nodes are not refused; tandem.health tells them that the migration was aborted."),
			 back > 0
			 ? errhint("Run SELECT tandem.switch_release(%d);", back)
			 : errhint("Run SELECT tandem.switch_release(...); with a release that is ready.")));
}

typedef struct AbortCall
{
	bool		force;
	int64		started;
	RegionGate	gate;
	LossLook	look;			/* without force */
	int			before;			/* release whose columns others send then, or
								 * 0 */
} AbortCall;

static void
abort_locked(Migration *migration, void *arg)
{
	AbortCall  *call = arg;
	List	   *dropped = columns_of_migration(migration);

	check_not_current(migration, call->force);
	check_names_stay_free(migration);
	keys_check_not_taken(migration);
	check_no_dependents(migration, dropped);
	check_changed_back(migration, call->force);
	if (!call->force)
		check_nothing_is_lost(migration, dropped,
							  abort_losses_since(migration, &call->look));
	region_gate_pass(&call->gate);
	migration_act(migration, ACTION_ABORT, dropped_columns_describe(dropped),
				  call->started);
	run_control_end_background(migration->id);
	drain_undo(migration);
	undo_all_builds(migration);
	sequence_type_take_back(migration->id);
	finish_drop(migration, dropped, finish_dropped_with(migration, dropped), NIL, NIL, NULL);
	if (call->before > 0)
		release_subscription_restart(call->before);
}

Datum
tandem_abort(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "migration");
	AbortCall	call = {
		.force = argument_bool(fcinfo, 1, "force"),.started = clock_now()
	};
	WorkUnderLocks work = {NULL, abort_locked, &call};
	Migration  *migration = migration_get_for_abort(name);
	List	   *dropped;

	if (migration_has_ended(migration, PHASE_ABORTED))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_ABORT);
	check_not_current(migration, call.force);
	check_names_stay_free(migration);
	keys_check_not_taken(migration);
	call.gate = (RegionGate)
	{
		.act = REGION_ABORT,.release = migration->release,
			.migration_id = migration->id,.name = migration->name,
			.force = call.force
	};
	region_gate_check(&call.gate);
	call.before = release_publication_before(migration->release);
	check_publications(migration, call.before);
	dropped = columns_of_migration(migration);
	check_no_dependents(migration, dropped);
	check_changed_back(migration, call.force);
	if (!call.force)
		check_nothing_is_lost(migration, dropped, abort_losses(migration, &call.look));
	/* before tables are locked */
	migration_forget_old();
	/* first what may refuse it, and would leave the run stopped */
	region_gate_announce(&call.gate);
	migration_stop_runner(migration, STOP_WAIT_MS);
	drain_lock(migration);
	/* without the new columns nothing that comes with them can be applied */
	if (call.before > 0)
		release_subscription_take(call.before, ERROR);
	finish_under_locks(migration, referred_tables(migration), &work);
	warn_if_current(migration);
	PG_RETURN_VOID();
}
