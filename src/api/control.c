/*
 * control.c
 *		Controls the run of a migration, and forgets migrations.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/take_back.h"
#include "fill/throttle_causes.h"

/*-------------------------------------------------------------------------
 * pause, resume, cancel and configure: requests to the process that runs a
 * migration.
 *
 * The runner checks for requests between two batches.  Those that must survive
 * it are stored in tandem.migration.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_pause);
SQL_FUNCTION(tandem_resume);
SQL_FUNCTION(tandem_cancel);
SQL_FUNCTION(tandem_configure);

#define STOP_WAIT_MS 30000

static Migration *
migration_to_control(FunctionCallInfo fcinfo)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));

	migration_check(migration, ACTION_CONTROL);
	return migration;
}

Datum
tandem_pause(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);

	run_control_set_paused(migration->id, GetUserId());
	migration_record(migration, "pause", NULL, 0);
	PG_RETURN_VOID();
}

Datum
tandem_resume(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);

	run_control_end_pause(migration->id);
	migration_record(migration, "resume", NULL, 0);
	/* after a crash, without a launcher, no process would continue */
	if (run_control_get(migration->id)->background &&
		migration_runner_pid(migration) == 0)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is no longer paused, and is not running",
						migration->name),
				 errhint("Run CALL tandem.migrate(%s, background => true);",
						 quote_literal_cstr(migration->name))));
	PG_RETURN_VOID();
}

typedef struct TakeBack
{
	Step	   *step;
	List	   *relids;			/* the tables it was taken back from */
} TakeBack;

static void
take_back(void *arg)
{
	TakeBack   *work = arg;

	work->relids = take_back_constraint(work->step);
}

static char *
describe_step_object(const Step *step)
{
	return psprintf("%s %s of table %s",
					step->kind == STEP_NOT_NULL ? "NOT NULL of column" : "constraint",
					quote_identifier(step->object), quoting_relation(step->relation));
}

/* The run has been cancelled in any case. */
static void
take_back_step(const Migration *migration, Step *step)
{
	TakeBack	work = {.step = step};
	char	   *name = describe_step_object(step);
	ErrorData  *error = subtransaction_try(take_back, &work);

	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("%s stays enforced, and is not valid: %s", name,
						error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("Call tandem.cancel(%s) again.",
						 quote_literal_cstr(migration->name))));
	else if (work.relids != NIL)
		ereport(NOTICE,
				(errmsg("%s was not valid yet, and is taken back", name),
				 errdetail("Migrate adds it again.")));
}

static void
take_back_steps_of_kind(const Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Step	   *step = lfirst(lc);

		if (!step->done && relation_exists(step->relation))
			take_back_step(migration, step);
	}
}

Datum
tandem_cancel(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);
	int			pid = migration_runner_pid(migration);

	if (pid == 0)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is not running", migration->name)));

	/*
	 * before writing the row, which the runner may have to write in order to
	 * end
	 */
	migration_stop_runner(migration, STOP_WAIT_MS);
	run_control_end_background(migration->id);
	migration_record(migration, "cancel",
					 pid ? psprintf("it was run by pid %d", pid) : NULL, 0);
	/* last, since others wait for the tables then */
	take_back_steps_of_kind(migration, STEP_CONSTRAINT);
	take_back_steps_of_kind(migration, STEP_NOT_NULL);
	PG_RETURN_VOID();
}

static const char *
canonical_setting_name(const char *given)
{
	const char *name = settings_name_for_run(given);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a setting of a migration", given),
				 errhint("Run SELECT name, short_desc FROM pg_settings WHERE name LIKE 'tandem.%%' AND name <> 'tandem.release' AND context = 'user';")));
	return name;
}

/* Checks that the setting accepts the value. */
static void
check_setting_value(const char *name, const char *value)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	AtEOXact_GUC(false, level);
}

/*
 * Resolve the name now, since another search_path could lead to another
 * function.
 */
static const char *
configure_hold(const Migration *migration, const char *value)
{
	Oid			funcid = hold_function_find(value);
	const char *function = hold_function_name(funcid, value);

	run_control_configure_hold(migration->id, function,
							   hold_function_owner(funcid),
							   namespace_search_path);
	return function;
}

Datum
tandem_configure(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);
	const char *name = canonical_setting_name(argument_text(fcinfo, 1, "setting"));
	const char *value = argument_optional_text(fcinfo, 2);

	if (value)
		check_setting_value(name, value);
	if (value && value[0] && strcmp(name, HOLD_FUNCTION_SETTING) == 0)
		value = configure_hold(migration, value);
	else
		run_control_configure(migration->id, name, value);
	migration_record(migration, "configure",
					 psprintf("%s = %s", name, value ? value : "the default"), 0);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * tandem.forget: removes what is stored about a migration that has ended.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_forget);

Datum
tandem_forget(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));

	if (migration->phase != PHASE_DONE && migration->phase != PHASE_ABORTED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has not ended", migration->name),
				 errdetail("It is in phase %s.", phase_name(migration->phase)),
				 errhint("End it with tandem.contract or tandem.abort, then call this again.")));
	migration_record(migration, "forget", NULL, 0);
	migration_forget(migration);
	PG_RETURN_VOID();
}
