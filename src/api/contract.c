/*
 * contract.c
 *		CALL tandem.contract: ends a migration after it was verified; and what
 *		it would take along.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/carried_end.h"
#include "api/column_rename.h"
#include "api/finish.h"
#include "api/result_row.h"
#include "api/take_keys.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/operation.h"
#include "catalog/owned_column.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/catalog_watch.h"
#include "core/clock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ending/compiled_functions.h"
#include "ending/held_rows.h"
#include "ending/open_work.h"
#include "ending/operations.h"
#include "ending/tables.h"
#include "ending/parts.h"
#include "ending/remade_views.h"
#include "ending/user_views.h"
#include "region/gate.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"
#include "release/drain.h"
#include "release/session.h"
#include "row/quarantine.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"
#include "trigger/install.h"
#include "views/view_dependents.h"
#include "views/views_end.h"

SQL_FUNCTION(tandem_contract);
SQL_FUNCTION(tandem_preview_contract);
SQL_FUNCTION(tandem_contract_parts);

typedef struct ContractCall
{
	char	   *name;
	bool		force;
	char	   *undeclared;
	List	   *accept;			/* kinds of parts, of char * */
} ContractCall;

static bool
is_generated(Oid relid, const char *column)
{
	AttrNumber	number = relation_exists(relid) ? get_attnum(relid, column) : InvalidAttrNumber;

	return number > 0 && get_attgenerated(relid, number) != '\0';
}

static List *
add_columns_to_drop(List *dropped, List *rules, bool generated)
{
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, rules)
	{
		const SyncRule *rule = lfirst(lc);

		foreach(name, rule->keep_old ? NIL : rule->old_columns)
		{
			if (is_generated(rule->relation, lfirst(name)) == generated)
				dropped = dropped_column_add(dropped, rule->relation, lfirst(name));
		}
	}
	return dropped;
}

/* What is computed from another one goes before it. */
static List *
columns_to_drop(List *rules)
{
	return add_columns_to_drop(add_columns_to_drop(NIL, rules, true), rules, false);
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

/* Has verify found rows that are unfilled, or whose new column is not what up gives? */
static bool
rows_disagree(const Migration *migration)
{
	StepRows	rows;

	step_sum_rows(migration->id, STEP_VERIFY, &rows);
	return rows.wrong_keys != NIL;
}

static char *
hint_to_make_ready(const Migration *migration, bool broken, bool quarantined,
				   bool one_way)
{
	char	   *name = quote_literal_cstr(migration->name);
	char	   *fill = run_control_migrate_call(migration->name);

	if (broken)
		return psprintf("Undo what has changed, then run %s, then contract; or end the migration: CALL tandem.abort(%s);",
						fill, name);
	if (open_work_waits_for_switch(migration))
		return psprintf("Run SELECT tandem.switch_release(%d); where that has not been done, then %s, then contract.",
						migration->release, fill);
	if (quarantined)
		return psprintf("Fix the rows shown in tandem.quarantine, then run %s, then contract.",
						fill);
	if (one_way)
		return psprintf("Run %s, then contract. A one-way sync cannot tell what release N has written: if the mismatched rows are such, run CALL tandem.contract(%s, force => true);",
						fill, name);
	return psprintf("Run %s, then contract.", fill);
}

/* Throws an error that lists all that is open. */
static void
check_data_is_ready(const Migration *migration, List *rules,
					const ContractCall *call)
{
	bool		broken = false;
	List	   *questions = open_work(migration, rules, call->force,
									  &broken);
	bool		quarantined = questions != NIL && quarantine_count(migration->id) > 0;
	bool		one_way = questions != NIL && sync_list_has_one_way(rules) &&
	rows_disagree(migration);

	/* rows that an extension keeps elsewhere were not verified */
	table_rows_check_local(finish_tables(migration));
	if (questions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" is not ready for contract", migration->name),
				 errdetail("%s", lines_as_list(questions)),
				 errhint("%s", hint_to_make_ready(migration, broken, quarantined,
												  one_way))));
}

static void
refuse_columns_in_use(const Migration *migration, List *reasons)
{
	if (reasons != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("old columns of migration \"%s\" are still in use",
						migration->name),
				 errdetail("%s", lines_as_list(reasons)),
				 errhint("Move these to the new columns, drop them, have contract do so with tandem.at_contract, or end the migrations that use them, then contract; or abort, if nothing uses the new columns, and create the sync again with keep_old => true.")));
}

/* What holds the columns may have been what the user's statements were for. */
static void
check_columns_were_freed(const Migration *migration, List *dropped)
{
	refuse_columns_in_use(migration, reasons_columns_stay(migration, dropped));
}

/* What other migrations have still to do by the old names of columns; force does not help. */
static void
refuse_to_rename_yet(const Migration *migration)
{
	List	   *lines = column_rename_waits(migration);

	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("columns of migration \"%s\" cannot be renamed yet",
						migration->name),
				 errdetail("%s", lines_as_list(lines)),
				 errhint("Do what each line says, then contract.")));
}

/*
 * Throws an error that lists all that is open, what is in the way of dropping
 * the columns, or what would be lost with them; returns what goes with them.
 */
static List *
check_ready_to_contract(const Migration *migration, List *rules,
						List *dropped, const ContractCall *call)
{
	List	   *parts;

	check_data_is_ready(migration, rules, call);
	if (!operations_may_free_columns(migration))
		refuse_columns_in_use(migration, reasons_columns_stay(migration, dropped));
	refuse_to_rename_yet(migration);
	parts = contract_parts(migration);
	contract_parts_check(migration, parts, call->accept);
	operations_check(migration);
	/* report this before older releases are refused, not after */
	versioned_views_check_end(sync_relations_of_migration(migration->id),
							  migration->id, migration->release);
	return parts;
}

/*
 * Asks again, under the locks, what no change of a catalog tells of: the tables
 * and functions have not changed since check_ready_to_contract.
 */
static void
check_still_ready(const Migration *migration, List *rules, List *dropped,
				  const ContractCall *call)
{
	check_data_is_ready(migration, rules, call);
	if (!operations_may_free_columns(migration))
		refuse_columns_in_use(migration,
							  dropped_column_lines(dropped,
												   catalog_watch_is_silent() ? column_migrations
												   : column_dependents, migration));
	refuse_to_rename_yet(migration);
	operations_check(migration);
	versioned_views_check_end(sync_relations_of_migration(migration->id),
							  migration->id, migration->release);
}

static void
check_undeclared_name(const char *undeclared)
{
	static const char *const choices[] = {"refuse", "ignore"};

	(void) text_choice("undeclared", undeclared, choices, lengthof(choices));
}

/* Does a column change on the table itself, and not only through views? */
static bool
has_bare_change(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
	{
		if (((SyncRule *) lfirst(lc))->on_table == ON_TABLE_BARE)
			return true;
	}
	return false;
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
	bool		ignore = strcmp(undeclared, "ignore") == 0;

	if ((ignore && !has_bare_change(migration)) || migration->release == 0)
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
			 ignore
			 ? errhint("They are not passed over, since a column changes on the table itself: a statement that waits for contract would store values of the old kind as new ones. End these sessions, or have them set tandem.release, then contract.")
			 : errhint("Have the application set tandem.release, with pg_tandem in session_preload_libraries; or, if the old release is no longer running, run CALL tandem.contract(%s, undeclared => 'ignore');",
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

/* What force passes over is told, before it is done. */
static void
warn_of_what_force_passes(const Migration *migration, List *rules,
						  const ContractCall *call)
{
	bool		broken;
	List	   *passed = call->force ? open_work(migration, rules, false, &broken)
	: NIL;

	if (passed == NIL)
		return;
	ereport(WARNING,
			(errmsg("contract of migration \"%s\" passes over what is not right",
					migration->name),
			 errdetail("%s", lines_as_list(passed))));
}

/* A right that is missing is found before anything is refused, not behind the fence. */
static void
check_publications(const Migration *migration)
{
	int			takes = release_publication_to_take(migration->release);

	release_publication_check_end(migration, migration->release);
	if (takes > 0)
		release_subscription_check(takes);
}

/*
 * Where one region drops a column that the new release does not write back, the
 * others, which still read it, would get nothing for it any more; and it could not
 * apply what they write to a table that it has dropped.
 */
static RegionGate
gate_of_contract(const Migration *migration, const ContractCall *call)
{
	RegionGate	gate = {
		.act = REGION_CONTRACT,.release = migration->release,
		.migration_id = migration->id,.name = migration->name,
		.takes = release_publication_to_take(migration->release),
		.force = call->force
	};
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		gate.everywhere |= rule_is_one_way(rule) && !rule->keep_old;
	}
	gate.everywhere |= operation_tables(migration->id, OPERATION_DROP_TABLE) != NIL;
	return gate;
}

/* Where there is nothing to migrate contract follows on expand. */
static void
pass_over_migrate(Migration *migration)
{
	if (migration->phase != PHASE_EXPAND || migration_is_to_be_migrated(migration->id))
		return;
	migration_act(migration, ACTION_MIGRATE, "nothing to migrate", 0);
	migration_act(migration, ACTION_FINISH, NULL, 0);
}

/* Checks what is open before anything is done. */
static void
check_contract_call(Migration *migration, const ContractCall *call)
{
	List	   *rules = sync_list_of_migration(migration->id);
	RegionGate	gate = gate_of_contract(migration, call);
	List	   *parts;

	/*
	 * before phase contract, the list of open steps says more than the phase
	 */
	if (migration->phase != PHASE_MIGRATE)
		migration_check(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT);
	parts = check_ready_to_contract(migration, rules, columns_to_drop(rules),
									call);
	remade_views_check(migration, true);
	region_gate_check(&gate);
	keys_check_taken(migration, call->force);
	check_publications(migration);
	claim_contract(migration, call);
	warn_of_what_force_passes(migration, rules, call);
	contract_parts_warn(migration, parts, call->accept);
}

typedef struct FencedContract
{
	const ContractCall *call;
	int64		started;
	List	   *objects;		/* what goes with the columns, as lines */
	List	   *functions;		/* that sessions have compiled with their
								 * types */
	List	   *names;			/* of carried_names_to_take */
} FencedContract;

/* Nobody is waited for while tables are locked. */
static void
check_rows_are_free(const Migration *migration, List *functions)
{
	List	   *relids = list_concat(finish_tables(migration), user_views_of_migration(migration));

	held_rows_check(migration,
					list_concat(relids, versioned_views_of(sync_relations_of_migration(migration->id),
														   migration->release)),
					functions);
}

/*
 * All that is asked of the catalogs takes longer with each partition, so it is
 * asked before the tables are locked.  Nobody else changes the migration by now.
 */
static void
look_up_before_locks(const Migration *migration, void *arg)
{
	FencedContract *fenced = arg;
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *dropped = columns_to_drop(rules);

	/*
	 * makes views, and takes them back: before the watch, which would see
	 * them
	 */
	remade_views_check(migration, true);
	fenced->functions = compiled_functions(migration);
	check_rows_are_free(migration, fenced->functions);
	catalog_watch_begin();
	(void) check_ready_to_contract(migration, rules, dropped, fenced->call);
	fenced->objects = finish_dropped_with(migration, dropped);
	fenced->names = carried_names_to_take(migration);
}

static void
contract_locked(Migration *migration, void *arg)
{
	FencedContract *fenced = arg;
	const ContractCall *call = fenced->call;
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *dropped = columns_to_drop(rules);
	RegionGate	gate = gate_of_contract(migration, call);

	/* again, now that it cannot change any more */
	if (catalog_watch_is_quiet(finish_tables(migration)))
		check_still_ready(migration, rules, dropped, call);
	else
	{
		remade_views_check(migration, false);
		(void) check_ready_to_contract(migration, rules, dropped, call);
		fenced->functions = compiled_functions(migration);
		fenced->objects = finish_dropped_with(migration, dropped);
		fenced->names = carried_names_to_take(migration);
	}
	check_rows_are_free(migration, fenced->functions);
	check_undeclared_writers(migration, call->undeclared, false);
	keys_check_taken(migration, call->force);
	region_gate_pass(&gate);
	migration_act(migration, call->force ? ACTION_FORCE : ACTION_CONTRACT,
				  dropped_columns_describe(dropped), fenced->started);
	owned_column_keep_new(migration->id);
	run_control_end_background(migration->id);
	drain_finish(migration);
	finish_drop(migration, dropped, fenced->objects, fenced->functions, fenced->names,
				operations_may_free_columns(migration) ? check_columns_were_freed : NULL);
	if (gate.takes > 0)
		release_subscription_restart(gate.takes);
}

/* Runs in one transaction, after the old releases have ended. */
static void
contract_in_transaction(Migration *migration, FencedContract *fenced)
{
	WorkUnderLocks work = {look_up_before_locks, contract_locked, fenced};
	int			takes = release_publication_to_take(migration->release);

	drain_lock(migration);
	/* without the old columns nothing that comes with them can be applied */
	if (takes > 0)
		release_subscription_take(takes, ERROR);
	finish_under_locks(migration,
					   list_concat(tables_referred_to(operation_tables(migration->id, OPERATION_DROP_TABLE)),
								   user_views_of_migration(migration)),
					   &work);
}

static void
contract_behind_fence(void *arg)
{
	FencedContract *fenced = arg;
	Migration  *migration = migration_get_for_change(fenced->call->name);

	/* the wait has committed, so the migration may have been changed */
	claim_contract(migration, fenced->call);
	contract_in_transaction(migration, fenced);
}

/* Refuses older releases first.  After an error they may work again. */
static void
contract_without_older_releases(Migration *migration, const ContractCall *call,
								int64 started)
{
	FencedContract fenced = {.call = call,.started = started};
	RegionGate	gate = gate_of_contract(migration, call);
	ErrorData  *error;

	/*
	 * a session lock, to survive the commits of the wait; an error releases
	 * it
	 */
	migration_lock_runner(migration, true);
	region_gate_announce(&gate);
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
		.undeclared = argument_text(fcinfo, 2, "undeclared"),
		.accept = argument_strings(fcinfo, 3)
	};
	bool		atomic = !procedure_may_commit(fcinfo);
	Migration  *migration;

	check_undeclared_name(call.undeclared);
	contract_parts_check_names(call.accept);
	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
	migration = migration_get_for_change(call.name);
	if (migration_has_ended(migration, PHASE_DONE))
	{
		SPI_finish();
		PG_RETURN_VOID();
	}
	pass_over_migrate(migration);
	check_contract_call(migration, &call);
	list_undeclared(migration, call.undeclared);
	count_sessions_not_fenced(migration);
	/* before tables are locked */
	migration_forget_old();
	if (!atomic && migration->release > 0)
		contract_without_older_releases(migration, &call, started);
	else
	{
		FencedContract fenced = {.call = &call,.started = started};
		RegionGate	gate = gate_of_contract(migration, &call);

		region_gate_announce(&gate);
		drain_within_transaction(migration, finish_tables(migration),
								 call.force);
		contract_in_transaction(migration, &fenced);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * tandem.preview_contract: what contract would take along, or is in its way.
 *-------------------------------------------------------------------------
 */

static void
put_part(ReturnSetInfo *result, const char *part, const char *object,
		 const char *what_happens, const char *remedy)
{
	ResultRow	row;

	result_row_begin(&row, result);
	result_row_text(&row, part);
	result_row_text(&row, object);
	result_row_text(&row, what_happens);
	result_row_text(&row, remedy);
	result_row_end(&row);
}

/* Views of releases that stay, whose nodes would miss the columns. */
static void
put_views_that_lose(ReturnSetInfo *result, const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, versioned_views_that_lose(sync_relations_of_migration(migration->id),
										  migration->id, migration->release))
	{
		const ViewLoss *loss = lfirst(lc);
		int			release = loss->view->release;
		char	   *view = quoting_relation(loss->view->view);

		put_part(result, "in use",
				 psprintf("view %s of release %d, which shows %s", view, release,
						  text_joined(loss->columns, "", ", ")),
				 "contract is refused, whatever it is to accept",
				 psprintf("if no node of release %d uses them: %s and after contract %s",
						  release, view_drop_call(loss->view->view),
						  versioned_view_call(loss->view)));
	}
}

/* What statements leave of it nobody can tell before they have run. */
static char *
what_happens_to_view(const Migration *migration, Oid view)
{
	char	   *made;

	if (remade_view_is_left(migration, view))
		return "it is dropped";
	made = psprintf("dropped and made again, as role %s",
					quote_identifier(GetUserNameFromId(authority_owner_of(view), false)));
	return operations_name(migration, InvalidOid, quoting_raw_name(view))
		? psprintf("statements called for name it; if they leave it as it is, it is %s", made)
		: psprintf("it is %s", made);
}

static void
put_views_made_again(ReturnSetInfo *result, const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, user_views_of_migration(migration))
		put_part(result, "views", psprintf("view %s", quoting_relation(lfirst_oid(lc))),
				 what_happens_to_view(migration, lfirst_oid(lc)), NULL);
}

static void
put_keys_not_taken(ReturnSetInfo *result, const Migration *migration)
{
	char	   *remedy;
	ListCell   *lc;

	foreach(lc, keys_not_taken(migration, &remedy))
		put_part(result, "replica identities", lfirst(lc),
				 "contract is refused, whatever it is to accept", remedy);
}

/* An index that migrate is to build may be what a part is listed without. */
static void
note_what_is_not_built(const Migration *migration)
{
	int			count = 0;
	ListCell   *lc;

	for (StepKind kind = STEP_INDEX; kind <= STEP_CONSTRAINT; kind++)
	{
		foreach(lc, step_list(migration->id, kind))
			count += ((Step *) lfirst(lc))->done ? 0 : 1;
	}
	if (count == 0)
		return;
	ereport(NOTICE,
			(errmsg_plural("%d index or constraint that migrate has yet to build counts as missing here",
						   "%d indexes and constraints that migrate has yet to build count as missing here",
						   count, count),
			 errhint("Run %s, then look again.",
					 run_control_migrate_call(migration->name))));
}

Datum
tandem_preview_contract(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Migration  *migration = migration_get(argument_text(fcinfo, 0, "migration"));
	List	   *dropped;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (migration->phase == PHASE_DONE || migration->phase == PHASE_ABORTED)
		return (Datum) 0;
	note_what_is_not_built(migration);
	dropped = columns_to_drop(sync_list_of_migration(migration->id));
	put_views_that_lose(result, migration);
	foreach(lc, reasons_columns_stay(migration, dropped))
		put_part(result, "in use", lfirst(lc),
				 operations_may_free_columns(migration)
				 ? "contract is refused if that is still so after its statements"
				 : "contract is refused, whatever it is to accept",
				 "move it to the new columns or drop it; of another migration, end that one");
	foreach(lc, remade_views_problems(migration))
		put_part(result, "in use", lfirst(lc),
				 "contract is refused, whatever it is to accept",
				 "do what it says; or drop it, and create it again after contract");
	put_keys_not_taken(result, migration);
	put_views_made_again(result, migration);
	foreach(lc, column_rename_waits(migration))
		put_part(result, "in use", lfirst(lc),
				 "contract is refused, whatever it is to accept",
				 "do what it says");
	foreach(lc, operations_parts(migration))
	{
		ContractPart *part = lfirst(lc);

		put_part(result, part->part, part->object,
				 psprintf("%s%s", part->what_happens,
						  part->refuses ? "; contract is refused, whatever it is to accept" : ""),
				 part->remedy);
	}
	foreach(lc, list_concat(contract_parts(migration), contract_texts(migration)))
	{
		ContractPart *part = lfirst(lc);

		put_part(result, part->part, part->object,
				 psprintf("%s%s", part->what_happens,
						  part->refuses ? "; contract is refused unless it is accepted" : ""),
				 part->remedy);
	}
	return (Datum) 0;
}

/*
 * For tandem.migrations, which everybody reads.  To know the parts takes to
 * evaluate what the owner of a table has written, for as long as he likes: so they
 * are for who may act.
 */
Datum
tandem_contract_parts(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_by_id(PG_GETARG_INT32(0));
	List	   *kinds = NIL;

	if (migration && migration_role_may_act(migration, GetUserId()))
		kinds = contract_part_kinds(migration->id);
	if (kinds == NIL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(array_from_strings(kinds, TEXTOID));
}
