/*
 * rehearsal.c
 *		A script, run for real and rolled back, and what it has really done.
 *
 * Each statement is a subtransaction within that of the script.  So one that the server
 * runs at top level alone is refused without an end of the script.  What is seen of the
 * script is kept in memory, and stored when nothing is left of it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "core/authority.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "lint/lint.h"
#include "lint/lint_rule.h"
#include "lint/script.h"
#include "review/lock_watch.h"
#include "review/observed.h"
#include "review/rehearsal.h"
#include "run/command.h"

typedef struct ScriptRun
{
	Rehearsal  *rehearsal;
	Observer   *observer;
	List	   *statements;		/* of ScriptStatement */
	int			next;			/* the first that is to come */
	bool		begun;			/* a BEGIN of the script is open */
	Oid			user;			/* of the call */
	List	   *predictions;	/* of RehearsalRow */
	int			limit_ms;		/* of a wait for a lock */
	MemoryContext context;		/* of the result */
	const ScriptStatement *statement;	/* at hand */
	bool		passed_over;	/* it is not run */
	int			code;			/* of SPI */
} ScriptRun;

/*-------------------------------------------------------------------------
 * The report.
 *-------------------------------------------------------------------------
 */

static RehearsalRow *
add_row(ScriptRun *run, const ScriptStatement *statement, char *relation)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	RehearsalRow *row = palloc0(sizeof(RehearsalRow));

	row->statement = statement->number;
	row->line = statement->line;
	row->command = statement->parsed ? CreateCommandName(statement->parsed) : NULL;
	row->relation = relation;
	run->rehearsal->rows = lappend(run->rehearsal->rows, row);
	MemoryContextSwitchTo(caller);
	return row;
}

static RehearsalRow *
add_note(ScriptRun *run, const ScriptStatement *statement, const char *message)
{
	RehearsalRow *row = add_row(run, statement, NULL);

	row->message = MemoryContextStrdup(run->context, message);
	return row;
}

static void
add_passed_over(ScriptRun *run, const ScriptStatement *statement, const char *message)
{
	add_note(run, statement, message)->passed_over = run->passed_over = true;
}

/* The transaction of the script ends: so do its locks. */
static void
end_locks(ScriptRun *run)
{
	int64		now = clock_now();
	ListCell   *lc;

	foreach(lc, run->rehearsal->rows)
	{
		RehearsalRow *row = lfirst(lc);

		if (row->until == 0)
			row->until = now;
	}
}

/*-------------------------------------------------------------------------
 * What lint has said of the script.
 *-------------------------------------------------------------------------
 */

static void
note_prediction(const LintFinding *finding, void *arg)
{
	ScriptRun  *run = arg;
	MemoryContext caller;
	RehearsalRow *row;

	if (strcmp(finding->rule, LINT_LOCKS) != 0 || !OidIsValid(finding->table->relid))
		return;
	caller = MemoryContextSwitchTo(run->context);
	row = palloc0(sizeof(RehearsalRow));
	row->statement = finding->statement;
	row->relid = finding->table->relid;
	row->relation = script_table_name(finding->table);
	row->predicted_mode = finding->effect->lock;
	row->predicted_rewrite = finding->effect->rewrites;
	row->predicted_scan = finding->effect->scans;
	row->predicted_bytes = script_table_bytes(finding->table);
	run->predictions = lappend(run->predictions, row);
	MemoryContextSwitchTo(caller);
}

/* Of a statement, on a relation. */
static const RehearsalRow *
take_prediction(ScriptRun *run, int statement, Oid relid)
{
	ListCell   *lc;

	foreach(lc, run->predictions)
	{
		const RehearsalRow *prediction = lfirst(lc);

		if (prediction->statement > statement)
			return NULL;
		if (prediction->statement == statement && prediction->relid == relid)
		{
			run->predictions = foreach_delete_current(run->predictions, lc);
			return prediction;
		}
	}
	return NULL;
}

static List *
expected_uses(const ScriptRun *run)
{
	List	   *uses = NIL;
	ListCell   *lc;

	foreach(lc, run->predictions)
	{
		const RehearsalRow *prediction = lfirst(lc);
		ObservedUse *use;

		if (prediction->statement > run->statement->number)
			break;
		if (prediction->statement < run->statement->number)
			continue;
		use = palloc0(sizeof(ObservedUse));
		use->relid = prediction->relid;
		use->mode = prediction->predicted_mode;
		uses = lappend(uses, use);
	}
	return uses;
}

static void
show_prediction(RehearsalRow *row, const RehearsalRow *prediction)
{
	row->predicted = true;
	row->predicted_mode = prediction->predicted_mode;
	row->predicted_rewrite = prediction->predicted_rewrite;
	row->predicted_scan = prediction->predicted_scan;
	row->predicted_bytes = prediction->predicted_bytes;
}

/* What it has said of the statement, and was not seen: perhaps since it was not run. */
static void
add_unseen(ScriptRun *run)
{
	RehearsalRow *row;

	while (run->predictions)
	{
		const RehearsalRow *prediction = linitial(run->predictions);

		if (prediction->statement > run->statement->number)
			return;
		row = add_row(run, run->statement, prediction->relation);
		show_prediction(row, prediction);
		row->passed_over = run->passed_over;
		run->predictions = list_delete_first(run->predictions);
	}
}

/*-------------------------------------------------------------------------
 * What is seen of it.
 *-------------------------------------------------------------------------
 */

static void
note_waiting(ScriptRun *run)
{
	ListCell   *lc;

	foreach(lc, run->rehearsal->rows)
	{
		RehearsalRow *row = lfirst(lc);

		if (row->relation && row->until == 0)
			row->waiting = Max(row->waiting, observer_waiting(run->observer, row->relid));
	}
}

static void
add_uses(ScriptRun *run, int64 since)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	List	   *uses = observer_look(run->observer, expected_uses(run));
	ListCell   *lc;

	note_waiting(run);
	foreach(lc, uses)
	{
		const ObservedUse *use = lfirst(lc);
		const RehearsalRow *prediction = take_prediction(run, run->statement->number, use->relid);
		RehearsalRow *row = add_row(run, run->statement, use->relation);

		row->relid = use->relid;
		row->mode = use->mode;
		row->since = since;
		row->waiting = use->waiting;
		row->rewritten = use->rewritten;
		row->scans = use->scans;
		if (prediction)
			show_prediction(row, prediction);
	}
	MemoryContextSwitchTo(caller);
}

/*-------------------------------------------------------------------------
 * Running a statement.
 *-------------------------------------------------------------------------
 */

/* Returns why a statement is not run, or NULL. */
static const char *
reason_not_run(const ScriptStatement *statement)
{
	Node	   *parsed = statement->parsed;

	if (statement->skipped)
		return statement->skipped;
	switch (nodeTag(parsed))
	{
		case T_CopyStmt:
			if (((CopyStmt *) parsed)->is_program)
				return "not run: a program would be started, which cannot be undone";
			if (((CopyStmt *) parsed)->filename == NULL)
				return "not run: its rows come from the client, or go there";
			if (!((CopyStmt *) parsed)->is_from)
				return "not run: a file would be written, which cannot be undone";
			return NULL;
		case T_PrepareStmt:
		case T_DeallocateStmt:
		case T_LoadStmt:
		case T_DiscardStmt:
			return "not run: what it does to the session cannot be undone";
		case T_CheckPointStmt:
			return "not run: it is for the whole server";
		default:
			return NULL;
	}
}

static int
lock_limit_ms(const ScriptRun *run)
{
	return LockTimeout > 0 ? Min(LockTimeout, run->limit_ms) : run->limit_ms;
}

static void
pin_lock_timeout(const ScriptRun *run)
{
	(void) set_config_option("lock_timeout", psprintf("%d", lock_limit_ms(run)), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* What the script sets outlives this scope, but not lock_timeout. */
static void
execute_statement_of_script(void *arg)
{
	ScriptRun  *run = arg;
	SPIExecuteOptions options = {.dest = None_Receiver};
	int			level = NewGUCNestLevel();

	pin_lock_timeout(run);
	SPI_connect();
	run->code = SPI_execute_extended(run->statement->text, &options);
	SPI_finish();
	AtEOXact_GUC(true, level);
	CommandCounterIncrement();
}

/* Also procedures and blocks that commit; those of pg_tandem say so themselves (25000). */
static bool
is_of_top_level(const ScriptStatement *statement, const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_ACTIVE_SQL_TRANSACTION:
		case ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE:
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_INVALID_TRANSACTION_STATE && IsA(statement->parsed, CallStmt);
	}
}

static char *
message_not_run(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
		return psprintf("not run: %s; it can when the statement that adds it is committed", error->message);
	return psprintf("not run: %s", error->message);
}

static int
line_of_error(const ScriptStatement *statement, const ErrorData *error)
{
	if (error->internalquery == NULL || strcmp(error->internalquery, statement->text) != 0)
		return statement->line;
	return script_line_of_position(statement, error->internalpos);
}

static void
note_error(ScriptRun *run, RehearsalRow *row, ErrorData *error)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);

	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || lock_watch_has_cancelled())
	{
		error->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
		error->message = lock_watch_message() ? lock_watch_message() : error->message;
	}
	row->message = pstrdup(error->message);
	row->sqlstate = error->sqlerrcode;
	run->rehearsal->error = error;
	run->rehearsal->error_line = line_of_error(run->statement, error);
	MemoryContextSwitchTo(caller);
}

static void
check_extension_is_there(void)
{
	if (!OidIsValid(extension_schema()))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rehearsal cannot drop extension \"%s\", which runs it", EXTENSION_NAME),
				 errhint("Leave that statement out of the script.")));
}

static void
execute_and_check(void *arg)
{
	execute_statement_of_script(arg);
	check_extension_is_there();
}

/* Returns its error, or NULL. */
static ErrorData *
try_statement(ScriptRun *run)
{
	ErrorData  *error;

	lock_watch_begin(run->limit_ms);
	error = subtransaction_catch(execute_and_check, run, true);
	lock_watch_end();
	if (error && error_is_intervention(error) && !lock_watch_has_cancelled())
		ReThrowError(error);
	return error;
}

/* Returns false if the script has come to its end here. */
static bool
run_statement(ScriptRun *run)
{
	int64		start = clock_now();
	int64		wal = pgWalUsage.wal_bytes;
	int64		temporary = pgBufferUsage.temp_blks_written;
	ErrorData  *error = try_statement(run);
	RehearsalRow *row = add_row(run, run->statement, NULL);

	row->us = clock_now() - start;
	row->wal_bytes = pgWalUsage.wal_bytes - wal;
	row->temp_bytes = (pgBufferUsage.temp_blks_written - temporary) * BLCKSZ;
	if (error && is_of_top_level(run->statement, error))
	{
		row->passed_over = run->passed_over = true;
		row->message = MemoryContextStrdup(run->context, message_not_run(error));
		return true;
	}
	if (error)
		note_error(run, row, error);
	else if (run->code < 0)
	{
		row->passed_over = run->passed_over = true;
		row->message = MemoryContextStrdup(run->context,
										   psprintf("not run: %s", SPI_result_code_string(run->code)));
	}
	else
		add_uses(run, start);
	return error == NULL;
}

/* Constraints that wait for the end of the transaction are checked where it would be. */
static bool
check_deferred(ScriptRun *run, const ScriptStatement *where)
{
	ScriptStatement check = *where;
	ErrorData  *error;

	check.text = "SET CONSTRAINTS ALL IMMEDIATE";
	run->statement = &check;
	error = try_statement(run);
	run->statement = where;
	if (error == NULL)
		return true;
	error->message = psprintf("at the end of its transaction: %s", error->message);
	note_error(run, add_row(run, where, NULL), error);
	return false;
}

static bool
run_transaction_statement(ScriptRun *run, const ScriptStatement *statement)
{
	switch (((TransactionStmt *) statement->parsed)->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			run->begun = true;
			add_note(run, statement, "a transaction of the script begins");
			return true;
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			if (!check_deferred(run, statement))
				return false;
			run->begun = false;
			end_locks(run);
			add_note(run, statement, "a transaction of the script ends");
			return true;
		case TRANS_STMT_ROLLBACK:
			run->begun = false;
			end_locks(run);
			add_note(run, statement, "a transaction of the script ends; what it did stays until the end of the rehearsal");
			return true;
		default:
			add_passed_over(run, statement, "not run: savepoints, and transactions that are prepared");
			return true;
	}
}

/*-------------------------------------------------------------------------
 * Running the script.
 *-------------------------------------------------------------------------
 */

/* All of it is read before anything runs.  Returns whether it has no mistake. */
static bool
check_syntax(ScriptRun *run)
{
	ListCell   *lc;

	foreach(lc, run->statements)
	{
		const ScriptStatement *statement = lfirst(lc);
		ErrorData  *error;
		RehearsalRow *row;

		if (statement->error == NULL)
			continue;
		error = palloc0(sizeof(ErrorData));
		error->elevel = ERROR;
		error->sqlerrcode = ERRCODE_SYNTAX_ERROR;
		error->message = statement->error;
		run->rehearsal->error = error;
		run->rehearsal->error_line = statement->error_line;
		row = add_row(run, statement, NULL);
		row->sqlstate = error->sqlerrcode;
		row->message = error->message;
		return false;
	}
	return true;
}

/* A role that the script takes, it gives back. */
typedef struct SessionRoles
{
	char	   *session_authorization;
	char	   *role;
} SessionRoles;

static char *
setting_of_session(const char *name)
{
	return pstrdup(GetConfigOption(name, false, false));
}

static void
give_back(const char *name, const char *value)
{
	if (strcmp(GetConfigOption(name, false, false), value) != 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * A statement of top level that touches tables, not the whole server, and would not fail
 * where it stands.  A worker has the caller's role, not one that the script has taken.
 */
static bool
is_for_worker(const ScriptRun *run, Node *parsed)
{
	bool		clustered;

	if (!run->rehearsal->call->top_level || !parsed || !lint_is_top_level(script_tables_open(), parsed) ||
		run->begun || GetUserId() != run->user)
		return false;
	return IsA(parsed, IndexStmt) || IsA(parsed, DropStmt) || IsA(parsed, ReindexStmt) || IsA(parsed, VacuumStmt) ||
		IsA(parsed, AlterTableStmt) || compat_is_repack(parsed, &clustered);
}

static bool
run_in_transaction(ScriptRun *run, const ScriptStatement *statement)
{
	const char *reason = reason_not_run(statement);
	bool		goes_on = true;

	CHECK_FOR_INTERRUPTS();
	run->statement = statement;
	run->passed_over = false;
	if (reason)
		add_passed_over(run, statement, reason);
	else if (IsA(statement->parsed, TransactionStmt))
		goes_on = run_transaction_statement(run, statement);
	else
		goes_on = run_statement(run);
	add_unseen(run);
	return goes_on;
}

/* Up to the end, or a statement for a worker, which is then the next one. */
static void
run_statements(ScriptRun *run)
{
	const ScriptStatement *last = NULL;

	for (; run->next < list_length(run->statements); run->next++)
	{
		const ScriptStatement *statement = list_nth(run->statements, run->next);

		if (is_for_worker(run, statement->parsed))
			break;
		last = statement;
		if (!run_in_transaction(run, statement))
			return;
	}
	if (last)
		(void) check_deferred(run, last);
}

static bool
has_failed(const Rehearsal *rehearsal)
{
	return rehearsal->error || rehearsal->exceeded;
}

static void
look_at_limits(ScriptRun *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);

	run->rehearsal->exceeded = rehearsal_exceeded(run->rehearsal);
	MemoryContextSwitchTo(caller);
}

static void
run_part(void *arg)
{
	ScriptRun  *run = arg;
	SessionRoles roles = {setting_of_session("session_authorization"), setting_of_session("role")};

	/* what is taken back harms nobody; so is this, with the subtransaction */
	if (!run->rehearsal->call->keep)
		(void) set_config_option("tandem.ddl_check", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	run->observer = observer_begin();
	run_statements(run);
	end_locks(run);
	look_at_limits(run);
	give_back("session_authorization", roles.session_authorization);
	give_back("role", roles.role);
	if (run->rehearsal->call->look && run->rehearsal->error == NULL)
		run->rehearsal->call->look(run->rehearsal->call->look_arg);
	if (run->rehearsal->call->keep && has_failed(run->rehearsal))
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_ROLLBACK),
				 errmsg("the script is rolled back"),
				 errhint("See tandem.rehearsals.")));
}

/*-------------------------------------------------------------------------
 * Statements of top level, which a worker runs in transactions of its own.
 *-------------------------------------------------------------------------
 */

static void
watch_worker(int pid, void *arg)
{
	observer_watch(arg, pid);
}

/* The worker has ended: what it has used is seen in its locks and in the files. */
static void
add_uses_of_worker(ScriptRun *run, int64 since)
{
	int			before = list_length(run->rehearsal->rows);
	ListCell   *lc;

	add_uses(run, since);
	for_each_from(lc, run->rehearsal->rows, before)
		((RehearsalRow *) lfirst(lc))->scans = -1;
	end_locks(run);
}

static void
run_by_worker(ScriptRun *run, const ScriptStatement *statement)
{
	int64		start = clock_now();
	ErrorData  *error;
	RehearsalRow *row;

	run->statement = statement;
	run->passed_over = false;
	/* the locks of what stands before it are none of its own */
	transaction_commit();
	run->observer = observer_begin();
	error = command_run_own(statement->text, lock_limit_ms(run), watch_worker, run->observer);
	row = add_row(run, statement, NULL);
	row->us = clock_now() - start;
	row->wal_bytes = row->temp_bytes = -1;
	if (error)
	{
		row->message = error->message;
		row->sqlstate = error->sqlerrcode;
		run->rehearsal->error = error;
		run->rehearsal->error_line = statement->line;
	}
	else
		row->message = "run by a worker; what stands before it is kept";
	add_uses_of_worker(run, start);
	add_unseen(run);
	run->rehearsal->kept_until = statement->line;
	look_at_limits(run);
}

/* Returns whether it has come to the end, and is kept if it is to be. */
static ErrorData *
run_parts(ScriptRun *run)
{
	for (;;)
	{
		bool		entered = snapshot_enter();
		ErrorData  *error = subtransaction_catch(run_part, run, run->rehearsal->call->keep);

		snapshot_leave(entered);
		if (error || has_failed(run->rehearsal) || run->next == list_length(run->statements))
			return error;
		run_by_worker(run, list_nth(run->statements, run->next++));
		if (has_failed(run->rehearsal))
			return NULL;
	}
}

static bool rehearsing = false;

static void
refuse_nested(void)
{
	if (rehearsing)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rehearsal cannot be rehearsed"),
				 errhint("Rehearse the inner script by itself.")));
}

static void
read_and_predict(ScriptRun *run)
{
	bool		entered = snapshot_enter();

	run->statements = script_read(run->rehearsal->call->script);
	if (check_syntax(run))
		lint_script(run->statements, note_prediction, run);
	else
		run->statements = NIL;
	snapshot_leave(entered);
}

Rehearsal *
rehearsal_run(const RehearsalCall *call)
{
	Rehearsal  *rehearsal = palloc0(sizeof(Rehearsal));
	ScriptRun	run = {
		.rehearsal = rehearsal,
		.user = GetUserId(),
		.limit_ms = setting_lock_timeout,
		.context = CurrentMemoryContext
	};
	ErrorData  *error = NULL;

	refuse_nested();
	rehearsal->call = call;
	PG_TRY();
	{
		rehearsing = true;
		read_and_predict(&run);
		error = run_parts(&run);
	}
	PG_FINALLY();
	{
		rehearsing = false;
	}
	PG_END_TRY();
	rehearsal->kept = rehearsal->kept_until > 0 || (call->keep && error == NULL && !has_failed(rehearsal));
	if (error && !has_failed(rehearsal))
		ReThrowError(error);
	return rehearsal;
}
