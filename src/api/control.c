/*
 * control.c
 *		pause, resume, cancel and configure: a word to whoever runs a migration.
 *
 * The runner looks at its migration between two batches; a word that must
 * outlast it is kept there.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/run_control.h"
#include "core/sql_function.h"

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

	run_control_set_paused(migration->id,
						   GetUserNameFromId(GetUserId(), false));
	migration_record(migration, "pause", NULL, 0);
	PG_RETURN_VOID();
}

Datum
tandem_resume(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);

	run_control_set_paused(migration->id, NULL);
	migration_record(migration, "resume", NULL, 0);
	/* after a crash without a launcher nobody is there to go on */
	if (run_control_get(migration->id)->background &&
		migration_runner_pid(migration) == 0)
		ereport(NOTICE,
				(errmsg("migration \"%s\" is no longer paused, and nobody runs it",
						migration->name),
				 errhint("CALL tandem.migrate(%s, background => true);",
						 quote_literal_cstr(migration->name))));
	PG_RETURN_VOID();
}

Datum
tandem_cancel(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);
	int			pid = migration_runner_pid(migration);

	if (pid == 0)
		ereport(NOTICE,
				(errmsg("nobody runs migration \"%s\"", migration->name)));
	/* before its row is written, which the runner may have to write to end */
	migration_stop_runner(migration, STOP_WAIT_MS);
	run_control_end_background(migration->id);
	migration_record(migration, "cancel",
					 pid ? psprintf("it was run by pid %d", pid) : NULL, 0);
	PG_RETURN_VOID();
}

typedef struct SettingCheck
{
	const char *name;
	const char *value;
} SettingCheck;

/* Tries the value; whoever calls rolls it back. */
static void
check_setting(void *arg)
{
	SettingCheck *check = arg;
	int			level = NewGUCNestLevel();

	if (strncmp(check->name, "tandem.", strlen("tandem.")) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no setting of a migration", check->name),
				 errhint("SELECT name, short_desc FROM pg_settings WHERE name LIKE 'tandem.%%';")));
	(void) set_config_option(check->name, check->value, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	AtEOXact_GUC(false, level);
}

Datum
tandem_configure(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_to_control(fcinfo);
	SettingCheck check = {
		.name = argument_text(fcinfo, 1, "setting"),
		.value = argument_optional_text(fcinfo, 2)
	};

	if (check.value)
		check_setting(&check);
	run_control_configure(migration->id, check.name, check.value);
	migration_record(migration, "configure",
					 psprintf("%s = %s", check.name,
							  check.value ? check.value : "the default"), 0);
	PG_RETURN_VOID();
}
