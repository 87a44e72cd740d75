/*
 * ddl_check.c
 *		The check of a session's DDL before it waits for its lock: tandem.ddl_check.
 *
 * The rules of tandem.lint look at the statement before the server has locked anything.
 * What they call a danger, of a table of at least tandem.ddl_check_size, is a WARNING or
 * an error.  Queries and DML do not come here.
 *
 * Not checked: what pg_tandem runs itself, scripts of extensions and of pg_dump, and what
 * the server makes of a statement (PROCESS_UTILITY_SUBCOMMAND).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "catalog/registry.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/statement.h"
#include "core/transaction.h"
#include "lint/ddl_check.h"
#include "lint/lint_rule.h"

static ProcessUtility_hook_type next_process_utility;

/* The danger of a statement: the first one, or the first about the largest table. */
typedef struct Danger
{
	Lint		lint;
	ScriptTable *largest;		/* of those that others use and the statement
								 * locks; NULL: there is none */
	int64		bytes;			/* of it */
	bool		is_of_largest;	/* the message is about that table */
	char	   *message;		/* NULL: none is found */
	char	   *advice;
	int			release;		/* for a migration that follows the advice */
	bool		locks;			/* others wait behind its lock */
	bool		commits;		/* on the way: no setting can be set for it
								 * alone */
} Danger;

/* What is about a small table, or about none, is a danger to the largest one that is locked along. */
static void
note_danger(Lint *lint, const char *severity, const char *rule, ScriptTable *table,
			const char *message, const char *advice)
{
	Danger	   *danger = lint->result;
	bool		is_of_largest = table == danger->largest;

	if (strcmp(severity, "danger") != 0 || !danger->largest ||
		danger->bytes < (int64) setting_ddl_check_size * 1024 ||
		(danger->message && (danger->is_of_largest || !is_of_largest)))
		return;
	danger->is_of_largest = is_of_largest;
	danger->message = pstrdup(message);
	danger->advice = pstrdup(advice);
}

static void
look_for_danger(void *arg)
{
	Danger	   *danger = arg;
	bool		entered = snapshot_enter();
	ListCell   *lc;

	danger->lint.tables = script_tables_open();
	danger->lint.effects = statement_effects(danger->lint.tables, danger->lint.statement->parsed);
	foreach(lc, danger->lint.effects)
	{
		Effect	   *effect = lfirst(lc);

		danger->locks = danger->locks || (effect->lock >= ShareLock && !effect->table->made);
		if (!effect->table->made && (!danger->largest || script_table_bytes(effect->table) > danger->bytes))
		{
			danger->largest = effect->table;
			danger->bytes = script_table_bytes(effect->table);
		}
	}
	danger->commits = lint_is_top_level(danger->lint.tables, danger->lint.statement->parsed);
	lint_statement(&danger->lint);
	if (danger->message)
		danger->release = registry_next_release();
	snapshot_leave(entered);
}

/*
 * Places in the statement count from the start of the query string, which may contain
 * others: it ends where the statement does.
 */
static void
find_danger(Danger *danger, const PlannedStmt *planned, const char *query)
{
	ScriptStatement statement = {.number = 1};
	int			from = Max(planned->stmt_location, 0);

	statement.parsed = planned->utilityStmt;
	statement.text = planned->stmt_len > 0 ? pnstrdup(query, from + planned->stmt_len) : pstrdup(query);
	statement.text_from = from;
	danger->lint.statement = &statement;
	danger->lint.report = note_danger;
	danger->lint.result = danger;
	danger->lint.has_lock_timeout = true;
	/* what the server cannot make sense of it says itself */
	(void) subtransaction_try(look_for_danger, danger);
	danger->lint.statement = NULL;
}

/* The advice, and what it takes for granted. */
static char *
hint_of(const Danger *danger)
{
	char	   *migration = strstr(danger->advice, "('m', ") == NULL ? ""
	: psprintf("SELECT tandem.create_migration('m', release => %d);\n", danger->release);

	return psprintf("%s%s\nTo run the statement as it is: SET tandem.ddl_check = off;", migration, danger->advice);
}

static void
report_danger(const Danger *danger, const char *command)
{
	ereport(setting_ddl_check == DDL_CHECK_WARN ? WARNING : ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 setting_ddl_check == DDL_CHECK_WARN
			 ? errmsg("%s is a danger to those who use %s: %s",
					  command, script_table_name(danger->largest), danger->message)
			 : errmsg("tandem.ddl_check refuses %s on %s: %s",
					  command, script_table_name(danger->largest), danger->message),
			 errdetail("The table has %s.",
					   text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
																		  Int64GetDatum(danger->bytes))))),
			 errhint("%s", hint_of(danger))));
}

/* Which the server does not count as DDL, but which lock tables as DDL does. */
static bool
is_ddl(Node *statement)
{
	bool		clustered;

	return GetCommandLogLevel(statement) == LOGSTMT_DDL || IsA(statement, TruncateStmt) ||
		IsA(statement, VacuumStmt) || IsA(statement, ReindexStmt) || compat_is_repack(statement, &clustered);
}

/*
 * What pg_dump has written begins with these settings, which nobody else has together: it
 * builds the indexes of tables that it has just filled, and has no other way.
 */
static bool
is_restoring(void)
{
	return !check_function_bodies && namespace_search_path[0] == '\0';
}

static bool
is_to_be_checked(const PlannedStmt *planned, ProcessUtilityContext context)
{
	return setting_ddl_check != DDL_CHECK_OFF && context != PROCESS_UTILITY_SUBCOMMAND &&
		planned->utilityStmt && is_ddl(planned->utilityStmt) &&
		MyBackendType == B_BACKEND && !creating_extension && !is_restoring() && !query_is_running() && !ddl_is_running() &&
		IsTransactionState() && !RecoveryInProgress() && OidIsValid(extension_schema());
}

static void
check_process_utility(PlannedStmt *planned, const char *query, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo parameters,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	Danger		danger = {.message = NULL};
	int			level = 0;

	if (is_to_be_checked(planned, context))
	{
		find_danger(&danger, planned, query);
		if (danger.message)
			report_danger(&danger, GetCommandTagName(CreateCommandTag(planned->utilityStmt)));
		if (danger.locks && setting_ddl_check_lock_timeout > 0 &&
			(LockTimeout == 0 || LockTimeout > setting_ddl_check_lock_timeout) &&
			!danger.commits)
		{
			level = NewGUCNestLevel();
			(void) set_config_option("lock_timeout", psprintf("%d", setting_ddl_check_lock_timeout),
									 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		}
	}
	next_process_utility(planned, query, read_only_tree, context, parameters, environment, receiver,
						 completion);
	if (level > 0)
		AtEOXact_GUC(true, level);
}

void
ddl_check_init(void)
{
	if (IsBinaryUpgrade)
		return;
	next_process_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = check_process_utility;
}
