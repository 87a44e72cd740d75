/*
 * lint.c
 *		A script, looked at statement by statement: what it would do to the tables as they
 *		are now.
 *
 * Nothing is run, and no lock of a table is waited for.
 */
#include "postgres.h"

#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"

#include "core/error.h"
#include "core/transaction.h"
#include "lint/lint.h"
#include "lint/lint_rule.h"
#include "lint/script_change.h"

typedef struct LintScript
{
	LintFound	found;
	void	   *arg;
	bool		one_transaction;	/* the script is run as a whole, as tools
									 * do */
} LintScript;

static void
put(Lint *lint, int line, const char *severity, const char *rule, ScriptTable *table,
	const Effect *effect, const char *message, const char *advice)
{
	LintScript *script = lint->result;
	LintFinding finding = {
		.statement = lint->statement->number,
		.line = line,
		.severity = severity,
		.rule = rule,
		.table = table,
		.effect = effect,
		.message = message,
		.advice = advice
	};

	script->found(&finding, script->arg);
}

static void
report_finding(Lint *lint, const char *severity, const char *rule, ScriptTable *table,
			   const char *message, const char *advice)
{
	put(lint, lint->statement->line, severity, rule, table, effect_of(lint->effects, table),
		message, advice);
}

/*-------------------------------------------------------------------------
 * Statement by statement.
 *-------------------------------------------------------------------------
 */

static void
follow_transaction(Lint *lint, const TransactionStmt *statement)
{
	switch (statement->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			lint->begun = true;
			break;
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_ROLLBACK:
		case TRANS_STMT_PREPARE:
			lint->begun = statement->chain;
			script_tables_release(lint->tables);
			break;
		default:
			break;
	}
}

/* Is it a time, and none that means no limit? */
static bool
is_limit(List *values)
{
	A_Const    *value = list_length(values) == 1 ? linitial(values) : NULL;
	int			ms;

	if (value == NULL || !IsA(value, A_Const))
		return false;
	if (IsA(&value->val, Integer))
		return intVal(&value->val) > 0;
	return IsA(&value->val, String) && parse_int(strVal(&value->val), &ms, GUC_UNIT_MS, NULL) && ms > 0;
}

static void
follow_settings(Lint *lint, const VariableSetStmt *set)
{
	if (set->kind == VAR_RESET_ALL || strcmp(set->name ? set->name : "", "lock_timeout") == 0)
		lint->has_lock_timeout = set->kind == VAR_SET_VALUE && is_limit(set->args);
}

static void
report_locks(Lint *lint)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (!effect->table->made)
			put(lint, lint->statement->line, "info", LINT_LOCKS, effect->table, effect,
				psprintf("%s %s%s", script_table_name(effect->table),
						 effect->rewrites ? "is written anew" : effect->scans ? "is read" : "is locked",
						 effect->rewrites || effect->scans ? " under a lock" : ""), NULL);
	}
}

static void
note_locks(Lint *lint)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		effect->table->held = Max(effect->table->held, effect->lock);
	}
}

static void
look_at_statement(void *arg)
{
	Lint	   *lint = arg;
	LintScript *script = lint->result;
	Node	   *statement = lint->statement->parsed;

	lint->in_transaction = lint->begun || script->one_transaction;
	lint->effects = statement_effects(lint->tables, statement);
	report_locks(lint);
	lint_statement(lint);
	note_locks(lint);
	if (IsA(statement, TransactionStmt))
		follow_transaction(lint, (TransactionStmt *) statement);
	else if (IsA(statement, VariableSetStmt))
		follow_settings(lint, (VariableSetStmt *) statement);
	else if (!lint->in_transaction)
		script_tables_release(lint->tables);
	script_change(lint->tables, statement);
}

static void
look_at(Lint *lint, const ScriptStatement *statement)
{
	ErrorData  *error;

	lint->statement = statement;
	lint->effects = NIL;
	if (statement->error)
		put(lint, statement->error_line, "error", "syntax-error", NULL, NULL, statement->error, NULL);
	else if (statement->skipped)
		put(lint, statement->line, "note", "skipped", NULL, NULL, statement->skipped,
			"Nothing is told of it: look at what psql makes of it.");
	if (!statement->parsed)
		return;
	error = subtransaction_try(look_at_statement, lint);
	if (error)
		put(lint, statement->line, "error", "fails", NULL, NULL, error->message, error->hint);
}

static bool
is_transaction_of_tool(ScriptTables *tables, List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
	{
		Node	   *parsed = ((ScriptStatement *) lfirst(lc))->parsed;

		if (parsed && (IsA(parsed, TransactionStmt) || lint_is_top_level(tables, parsed)))
			return false;
	}
	return true;
}

void
lint_script(List *statements, LintFound found, void *arg)
{
	LintScript	script = {.found = found,.arg = arg};
	Lint		lint = {
		.tables = script_tables_open(),
		.has_lock_timeout = LockTimeout > 0,
		.report = report_finding,
		.result = &script
	};
	ListCell   *lc;

	script.one_transaction = is_transaction_of_tool(lint.tables, statements);
	foreach(lc, statements)
		look_at(&lint, lfirst(lc));
	if (statements)
		lint_end(&lint);
}
