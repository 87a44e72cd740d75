/*
 * settings.c
 *		The settings tandem.*.
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/namespace.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/settings.h"

/* what tandem.release = tool is beside the numbers */
#define RELEASE_OF_TOOL (-1)

int			setting_release = 0;
bool		setting_release_is_tool = false;
static char *setting_release_text = NULL;
int			setting_undeclared = UNDECLARED_ALLOW;
bool		setting_at_once = false;
int			setting_ddl_check = DDL_CHECK_OFF;
int			setting_ddl_check_size = 100 * 1024;
int			setting_ddl_check_lock_timeout = 1000;
int			setting_batch_target = 100;
int			setting_batch_lock_timeout = 100;
int			setting_lock_timeout = 200;
int			setting_lock_retry_time = 60;
bool		setting_fire_triggers = false;
int			setting_send_fill = SEND_FILL_AUTO;
int			setting_vacuum_every = 5;
int			setting_launcher_interval = 60;
int			setting_region_timeout = 30;
int			setting_max_workers_per_role = 0;
int			setting_forget_after = 30 * 86400;
int			setting_max_rows_per_second = 0;
int			setting_max_wal_rate = 0;
int			setting_max_lag_size = 256 * 1024;
int			setting_max_lag_time = 30;
double		setting_nice_ratio = 3;
char	   *setting_hold_function = NULL;

/* read by the extension's script, which tandem_stub.sql has, too */
static int	setting_at_once_size = 10 * 1024;

/* standbys and slots whose lag counts, for settings_lag_counts; never NULL */
static char *setting_lag_sources = NULL;

/*-------------------------------------------------------------------------
 * tandem.release: a number, or "tool".
 *-------------------------------------------------------------------------
 */

static bool
check_release(char **value, void **extra, GucSource source)
{
	int			release = RELEASE_OF_TOOL;

	if (pg_strcasecmp(*value, "tool") != 0 &&
		(!parse_int(*value, &release, 0, NULL) || release < 0))
	{
		GUC_check_errdetail("It is not a release from 0 to %d, nor \"tool\".", PG_INT32_MAX);
		GUC_check_errhint("Give the number of the release; 0 to declare none, or \"tool\" in the session of a migration tool.");
		return false;
	}
	*extra = compat_setting_extra(sizeof(release));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &release, sizeof(release));
	return true;
}

static void
assign_release(const char *value, void *extra)
{
	int			release = *(int *) extra;

	setting_release = Max(release, 0);
	setting_release_is_tool = release == RELEASE_OF_TOOL;
}

static bool
check_lag_sources(char **value, void **extra, GucSource source)
{
	List	   *names;

	/* the names point into the copy */
	if (SplitIdentifierString(pstrdup(*value), ',', &names))
		return true;
	GUC_check_errdetail("It is not a list of names separated by commas.");
	GUC_check_errhint("Name standbys by their application_name and slots by their name, with double quotes around what is not a plain word; '*' means all of them, '' none.");
	return false;
}

static bool
check_hold_function(char **value, void **extra, GucSource source)
{
	List	   *names;

	if (SplitIdentifierString(pstrdup(*value), '.', &names) &&
		strchr(*value, '(') == NULL)
		return true;
	GUC_check_errdetail("It is not the name of a function.");
	GUC_check_errhint("Give a name, with its schema where SQL needs it, and no parentheses; '' means none.");
	return false;
}

bool
settings_lag_counts(const char *name)
{
	List	   *names = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(setting_lag_sources), ',', &names))
		return false;
	foreach(lc, names)
	{
		/* synchronous_standby_names compares standbys like this */
		if (strcmp(lfirst(lc), "*") == 0 || pg_strcasecmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

bool
settings_any_lag_counts(void)
{
	List	   *names = NIL;

	return SplitIdentifierString(pstrdup(setting_lag_sources), ',', &names) &&
		names != NIL;
}

char *
settings_show(const char *name)
{
	return psprintf("%s = %s", name, GetConfigOptionByName(name, NULL, false));
}

static void
define_throttles(void)
{
	DefineCustomIntVariable("tandem.max_rows_per_second",
							"Most rows that a backfill works on in a second.",
							"All workers of a step together; 0 means no cap.",
							&setting_max_rows_per_second, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.max_wal_rate",
							"WAL per second, of the whole server, above which a backfill pauses.",
							"0 disables the check.",
							&setting_max_wal_rate, 0, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.max_lag_size",
							"WAL that a standby or slot may be behind before a backfill pauses.",
							"0 disables the check.",
							&setting_max_lag_size, 256 * 1024, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.max_lag_time",
							"Time that a standby may be behind before a backfill pauses.",
							"0 disables the check.",
							&setting_max_lag_time, 30, 0, 86400,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomRealVariable("tandem.nice_ratio",
							 "Pause of a backfill after each batch while clients are active.",
							 "As a multiple of the batch's duration; 0 means none.",
							 &setting_nice_ratio, 3, 0, 100,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tandem.lag_sources",
							   "Standbys and replication slots whose lag makes a backfill pause.",
							   "A list of application names and names of slots; '*' means all, '' none.",
							   &setting_lag_sources, "*",
							   PGC_USERSET, GUC_LIST_INPUT,
							   check_lag_sources, NULL, NULL);
	DefineCustomStringVariable("tandem.hold_function",
							   "Function without arguments that makes a backfill pause.",
							   "The backfill pauses while it returns true, or a reason as text; '' means none.",
							   &setting_hold_function, "",
							   PGC_USERSET, 0,
							   check_hold_function, NULL, NULL);
}

static const struct config_enum_entry undeclared_options[] = {
	{"allow", UNDECLARED_ALLOW, false},
	{"warn", UNDECLARED_WARN, false},
	{"refuse", UNDECLARED_REFUSE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry ddl_check_options[] = {
	{"off", DDL_CHECK_OFF, false},
	{"warn", DDL_CHECK_WARN, false},
	{"refuse", DDL_CHECK_REFUSE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry send_fill_options[] = {
	{"auto", SEND_FILL_AUTO, false},
	{"on", SEND_FILL_ON, false},
	{"off", SEND_FILL_OFF, false},
	{NULL, 0, false}
};

const char *
settings_name_for_run(const char *name)
{
	struct config_generic *setting =
	pg_strncasecmp(name, "tandem.", strlen("tandem.")) == 0
	? compat_find_setting(name) : NULL;

	if (setting == NULL || setting->context != PGC_USERSET ||
		strcmp(setting->name, "tandem.release") == 0)
		return NULL;
	return setting->name;
}

void
settings_for_transaction(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * While a function with SET, or a scope, is running, the server keeps the value
 * from before in its stack.  The outermost of them has that of the session.
 */
const char *
settings_session_path(void)
{
	static struct config_generic *setting = NULL;
	const char *path = namespace_search_path;

	if (setting == NULL)
		setting = compat_find_setting("search_path");
	for (GucStack *entry = setting->stack; entry; entry = entry->prev)
	{
		if (entry->state == GUC_SAVE)
			path = entry->prior.val.stringval;
	}
	return path ? path : "";
}

/*
 * For every role: it lets no one do what plain DDL would not.  What protects a
 * database in use is the size.
 */
static void
define_at_once(void)
{
	DefineCustomBoolVariable("tandem.at_once",
							 "Whether each operation of a new migration is done to its end in the transaction that calls it.",
							 "For development and test databases: tables are locked while they are rewritten.",
							 &setting_at_once, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.at_once_size",
							"Size up to which a table, with its partitions, may be changed by tandem.at_once.",
							NULL,
							&setting_at_once_size, 10 * 1024, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
}

void
settings_define(void)
{
	DefineCustomStringVariable("tandem.release",
							   "Release of the application that this session belongs to.",
							   "0 means that no release is declared; \"tool\" that the session is not of the application.",
							   &setting_release_text, "0",
							   PGC_USERSET, 0, check_release, assign_release, NULL);
	DefineCustomEnumVariable("tandem.undeclared",
							 "What happens to a session that has not declared a release.",
							 "Superusers are never refused.",
							 &setting_undeclared, UNDECLARED_ALLOW,
							 undeclared_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	define_at_once();
	DefineCustomEnumVariable("tandem.ddl_check",
							 "What happens to DDL that would stall or break those who use a large table.",
							 "It is looked at before it waits for its lock, by the rules of tandem.lint of severity danger.",
							 &setting_ddl_check, DDL_CHECK_OFF,
							 ddl_check_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.ddl_check_size",
							"Size from which on a table, with its partitions, counts for tandem.ddl_check.",
							NULL,
							&setting_ddl_check_size, 100 * 1024, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.ddl_check_lock_timeout",
							"Longest wait of DDL for a lock that others wait behind, while tandem.ddl_check is on.",
							"A shorter lock_timeout of the session stays; 0 means no limit.",
							&setting_ddl_check_lock_timeout, 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.batch_target",
							"Time that one batch of a backfill should take.",
							NULL,
							&setting_batch_target, 100, 1, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.batch_lock_timeout",
							"Longest wait of a batch for what another session holds.",
							"For example a unique key that is being inserted. Then the batch is rolled back and tried again; 0 means no limit.",
							&setting_batch_lock_timeout, 100, 0, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.lock_timeout",
							"Longest wait for a lock that blocks readers or writers.",
							"Then the request is given up, and tried again a little later.",
							&setting_lock_timeout, 200, 1, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.lock_retry_time",
							"Time after which failing to get a lock is an error.",
							NULL,
							&setting_lock_retry_time, 60, 0, 86400,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("tandem.fire_triggers",
							 "Whether a backfill fires the triggers of the table.",
							 NULL,
							 &setting_fire_triggers, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("tandem.send_fill",
							 "Whether a backfill is sent to subscribers that have origin = none.",
							 "auto: unless the table has a subscription with origin = none itself, so that each server fills its own rows.",
							 &setting_send_fill, SEND_FILL_AUTO,
							 send_fill_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.vacuum_every",
							"Percentage of a table's rows that may leave index entries before a backfill vacuums it.",
							"It is also vacuumed once when it is filled; 0 means never.",
							&setting_vacuum_every, 5, 0, 100,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.launcher_interval",
							"Time between two checks for migrations to resume.",
							"Applies to the launcher, which runs if pg_tandem is in shared_preload_libraries.",
							&setting_launcher_interval, 60, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.region_timeout",
							"Longest wait for the other regions to answer what is about to be done.",
							"Of tandem.switch_release, tandem.contract and tandem.abort.",
							&setting_region_timeout, 30, 1, 3600,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.max_workers_per_role",
							"Most background workers that one role has at a time, over all its migrations.",
							"At least 2; 0 means half of max_worker_processes. Superusers are not limited.",
							&setting_max_workers_per_role, 0, 0, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.forget_after",
							"Time after which the steps of a migration that has ended are removed.",
							"Aborted migrations are removed as a whole; 0 means never.",
							&setting_forget_after, 30 * 86400, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	define_throttles();
	MarkGUCPrefixReserved("tandem");
}
