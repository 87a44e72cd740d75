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
#include "review/lint.h"
#include "review/lock_watch.h"
#include "review/observed.h"
#include "review/rehearsal.h"
#include "review/script.h"

typedef struct ScriptRun
{
	Rehearsal  *rehearsal;
	Observer   *observer;
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

static void
add_note(ScriptRun *run, const ScriptStatement *statement, const char *message)
{
	add_row(run, statement, NULL)->message = MemoryContextStrdup(run->context, message);
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
		row->not_run = run->passed_over;
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

static void
pin_lock_timeout(const ScriptRun *run)
{
	int			ms = LockTimeout > 0 ? Min(LockTimeout, run->limit_ms) : run->limit_ms;

	(void) set_config_option("lock_timeout", psprintf("%d", ms), PGC_USERSET, PGC_S_SESSION,
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

static bool
is_of_top_level(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_ACTIVE_SQL_TRANSACTION ||
		error->sqlerrcode == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE;
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
	if (error && is_of_top_level(error))
	{
		row->message = MemoryContextStrdup(run->context, message_not_run(error));
		run->passed_over = true;
		return true;
	}
	if (error)
		note_error(run, row, error);
	else if (run->code < 0)
		row->message = psprintf("not run: %s", SPI_result_code_string(run->code));
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
			add_note(run, statement, "a transaction of the script begins");
			return true;
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			if (!check_deferred(run, statement))
				return false;
			end_locks(run);
			add_note(run, statement, "a transaction of the script ends");
			return true;
		case TRANS_STMT_ROLLBACK:
			end_locks(run);
			add_note(run, statement, "a transaction of the script ends; what it did stays until the end of the rehearsal");
			return true;
		default:
			add_note(run, statement, "not run: savepoints, and transactions that are prepared");
			return true;
	}
}

/*-------------------------------------------------------------------------
 * Running the script.
 *-------------------------------------------------------------------------
 */

/* All of it is read before anything runs.  Returns the statements, or NIL after a mistake. */
static List *
read_script(ScriptRun *run)
{
	ScriptReader *reader = script_open(run->rehearsal->call->script);
	List	   *statements = NIL;

	for (;;)
	{
		ScriptStatement *statement = palloc(sizeof(ScriptStatement));
		ErrorData  *error;
		RehearsalRow *row;

		if (!script_next(reader, statement))
			return statements;
		if (statement->error == NULL)
		{
			statements = lappend(statements, statement);
			continue;
		}
		error = palloc0(sizeof(ErrorData));
		error->elevel = ERROR;
		error->sqlerrcode = ERRCODE_SYNTAX_ERROR;
		error->message = statement->error;
		run->rehearsal->error = error;
		run->rehearsal->error_line = statement->error_line;
		row = add_row(run, statement, NULL);
		row->sqlstate = error->sqlerrcode;
		row->message = error->message;
		return NIL;
	}
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

static void
run_statements(ScriptRun *run, List *statements)
{
	const ScriptStatement *last = NULL;
	ListCell   *lc;

	foreach(lc, statements)
	{
		const ScriptStatement *statement = lfirst(lc);
		const char *reason = reason_not_run(statement);
		bool		goes_on = true;

		CHECK_FOR_INTERRUPTS();
		run->statement = last = statement;
		run->passed_over = reason != NULL;
		if (reason)
			add_note(run, statement, reason);
		else if (IsA(statement->parsed, TransactionStmt))
			goes_on = run_transaction_statement(run, statement);
		else
			goes_on = run_statement(run);
		add_unseen(run);
		if (!goes_on)
			return;
	}
	if (last)
		(void) check_deferred(run, last);
}

static void
run_script_to_rehearse(void *arg)
{
	ScriptRun  *run = arg;
	SessionRoles roles = {setting_of_session("session_authorization"), setting_of_session("role")};
	List	   *statements = read_script(run);
	MemoryContext caller;

	lint_script(run->rehearsal->call->script, note_prediction, run);
	/* what is taken back harms nobody; so is this, with the subtransaction */
	if (!run->rehearsal->call->keep)
		(void) set_config_option("tandem.ddl_check", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	run->observer = observer_begin();
	run_statements(run, statements);
	end_locks(run);
	caller = MemoryContextSwitchTo(run->context);
	run->rehearsal->exceeded = rehearsal_exceeded(run->rehearsal);
	MemoryContextSwitchTo(caller);
	give_back("session_authorization", roles.session_authorization);
	give_back("role", roles.role);
	if (run->rehearsal->call->keep && (run->rehearsal->error || run->rehearsal->exceeded))
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_ROLLBACK),
				 errmsg("the script is rolled back"),
				 errhint("See tandem.rehearsals.")));
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

Rehearsal *
rehearsal_run(const RehearsalCall *call)
{
	Rehearsal  *rehearsal = palloc0(sizeof(Rehearsal));
	ScriptRun	run = {
		.rehearsal = rehearsal,
		.limit_ms = setting_lock_timeout,
		.context = CurrentMemoryContext
	};
	ErrorData  *error = NULL;
	bool		entered = snapshot_enter();

	refuse_nested();
	rehearsal->call = call;
	PG_TRY();
	{
		rehearsing = true;
		error = subtransaction_catch(run_script_to_rehearse, &run, call->keep);
	}
	PG_FINALLY();
	{
		rehearsing = false;
	}
	PG_END_TRY();
	snapshot_leave(entered);
	rehearsal->kept = call->keep && error == NULL;
	if (error && rehearsal->error == NULL && rehearsal->exceeded == NULL)
		ReThrowError(error);
	return rehearsal;
}

/*-------------------------------------------------------------------------
 * Storing it, and the errors.
 *-------------------------------------------------------------------------
 */

static void
query_optional(TandemQuery *query, int64 value, bool given)
{
	query_datum(query, INT8OID, Int64GetDatum(value), !given);
}

static void
store_row(int64 rehearsal, const RehearsalRow *row)
{
	bool		whole = row->relation == NULL;
	bool		seen = row->mode != NoLock;
	TandemQuery query;

	query_begin(&query);
	query_bigint(&query, rehearsal);
	query_int(&query, row->statement);
	query_int(&query, row->line);
	query_text(&query, row->command);
	query_text(&query, row->relation);
	query_text(&query, seen ? rehearsal_mode_name(row->mode) : NULL);
	query_text(&query, seen ? observed_blocks(row->mode) : NULL);
	query_optional(&query, row->until - row->since, seen);
	query_optional(&query, row->waiting, seen);
	query_optional(&query, row->rewritten, row->rewritten > 0);
	query_optional(&query, row->scans, seen);
	query_text(&query, row->predicted ? rehearsal_mode_name(row->predicted_mode) : NULL);
	query_datum(&query, BOOLOID, BoolGetDatum(row->predicted_rewrite), !row->predicted);
	query_datum(&query, BOOLOID, BoolGetDatum(row->predicted_scan), !row->predicted);
	query_optional(&query, row->temp_bytes, whole);
	query_optional(&query, row->wal_bytes, whole);
	query_optional(&query, row->us, whole);
	query_text(&query, row->sqlstate ? unpack_sql_state(row->sqlstate) : NULL);
	query_text(&query, row->message);
	query_run(&query,
			  "INSERT INTO tandem.rehearsal_row (rehearsal, statement, line, command, relation, lock_mode, blocks, held, "
			  "waiting, rewritten_bytes, scans, predicted_lock_mode, predicted_rewrite, predicted_scan, temp_bytes, wal_bytes, "
			  "duration, sqlstate, message) "
			  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8 * interval '1 us', $9, $10, $11, $12, $13, $14, $15, $16, "
			  "$17 * interval '1 us', $18, left($19, " QUERY_KEPT_TEXT "))");
	query_end(&query);
}

static void
forget_old_reports(void)
{
	TandemQuery query;

	if (setting_forget_after == 0)
		return;
	query_begin(&query);
	query_int(&query, setting_forget_after);
	query_run(&query, "DELETE FROM tandem.rehearsal WHERE rehearsed_at < now() - $1 * interval '1 s'");
	query_end(&query);
}

void
rehearsal_store(Rehearsal *rehearsal, Oid who)
{
	TandemQuery query;
	ListCell   *lc;

	forget_old_reports();
	query_begin(&query);
	query_oid(&query, who);
	query_bool(&query, rehearsal->kept);
	rehearsal->id = query_end_bigint(&query,
									 query_run(&query, "INSERT INTO tandem.rehearsal (done_by, name, kept) "
											   "SELECT a.oid, a.rolname, $2 FROM pg_roles a WHERE a.oid = $1 RETURNING id"));
	foreach(lc, rehearsal->rows)
		store_row(rehearsal->id, lfirst(lc));
}

void
rehearsal_raise(const Rehearsal *rehearsal, bool stored)
{
	const ErrorData *error = rehearsal->error;
	char	   *where = psprintf("SELECT * FROM tandem.rehearsals WHERE rehearsal = " INT64_FORMAT "; shows what it has done.",
								 rehearsal->id);

	if (error)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("line %d of the script: %s", rehearsal->error_line, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 error->hint ? errhint("%s", error->hint) : stored ? errhint("%s", where) : 0));
	if (rehearsal->exceeded)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the script is above what the rehearsal allows"),
				 errdetail_internal("%s", rehearsal->exceeded),
				 stored ? errhint("%s", where)
				 : errhint("Use the operations of pg_tandem, or smaller steps; called at top level, tandem.rehearse leaves a report.")));
}
