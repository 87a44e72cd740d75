/*
 * running_statement.c
 *		The statements that this process is executing and that may fire row
 *		triggers.
 *
 * A row trigger is not told the statement that fires it.  But the server calls
 * it in the memory context of that statement: the executor's for the query, or
 * the caller's for COPY.  So the statements are kept in a stack, innermost
 * first, and found by that context.
 *
 * The entries are local variables of the hooks.  Each hook takes its own off
 * however the statement ends, so no entry outlives its hook.  Statements that
 * cannot write, all plain SELECTs, have none, and cost a comparison.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "tcop/utility.h"

#include "core/compat.h"
#include "row/running_statement.h"

static ExecutorRun_hook_type next_executor_run = NULL;
static ExecutorFinish_hook_type next_executor_finish = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;

static RunningStatement *innermost = NULL;

RunningStatement *
running_statement_find(MemoryContext context)
{
	RunningStatement *statement = innermost;

	while (statement && statement->context != context)
		statement = statement->outer;
	return statement;
}

/* Puts an entry on the stack; statement is a local variable of the caller. */
static inline void
begin_statement(RunningStatement *statement, MemoryContext context)
{
	memset(statement, 0, sizeof(RunningStatement));
	statement->outer = innermost;
	statement->context = context;
	innermost = statement;
}

static inline bool
query_may_write(const QueryDesc *query)
{
	return query->operation != CMD_SELECT ||
		query->plannedstmt->hasModifyingCTE;
}

static void
call_executor_run(COMPAT_RUN_PARAMETERS)
{
	if (next_executor_run)
		next_executor_run(COMPAT_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(COMPAT_RUN_ARGUMENTS);
}

static void
track_executor_run(COMPAT_RUN_PARAMETERS)
{
	RunningStatement statement;

	if (!query_may_write(query))
	{
		call_executor_run(COMPAT_RUN_ARGUMENTS);
		return;
	}
	begin_statement(&statement, query->estate->es_query_cxt);
	statement.query = query;
	PG_TRY();
	{
		call_executor_run(COMPAT_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		innermost = statement.outer;
	}
	PG_END_TRY();
}

static void
call_executor_finish(QueryDesc *query)
{
	if (next_executor_finish)
		next_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

/*
 * The executor's end runs the rest of the INSERT, UPDATE or MERGE in a WITH
 * whose rows nobody has asked for.
 */
static void
track_executor_finish(QueryDesc *query)
{
	RunningStatement statement;

	if (!query_may_write(query))
	{
		call_executor_finish(query);
		return;
	}
	begin_statement(&statement, query->estate->es_query_cxt);
	statement.query = query;
	PG_TRY();
	{
		call_executor_finish(query);
	}
	PG_FINALLY();
	{
		innermost = statement.outer;
	}
	PG_END_TRY();
}

static void
call_process_utility(PlannedStmt *stmt, const char *text, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *environment, DestReceiver *receiver,
					 QueryCompletion *completion)
{
	if (next_process_utility)
		next_process_utility(stmt, text, read_only_tree, context, params,
							 environment, receiver, completion);
	else
		standard_ProcessUtility(stmt, text, read_only_tree, context, params,
								environment, receiver, completion);
}

static inline bool
utility_copies_rows_in(Node *utility)
{
	return IsA(utility, CopyStmt) && ((CopyStmt *) utility)->is_from;
}

static void
track_process_utility(PlannedStmt *stmt, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	RunningStatement statement;

	if (!utility_copies_rows_in(stmt->utilityStmt))
	{
		call_process_utility(stmt, text, read_only_tree, context, params,
							 environment, receiver, completion);
		return;
	}
	begin_statement(&statement, CurrentMemoryContext);
	statement.copy = (CopyStmt *) stmt->utilityStmt;
	PG_TRY();
	{
		call_process_utility(stmt, text, read_only_tree, context, params,
							 environment, receiver, completion);
	}
	PG_FINALLY();
	{
		innermost = statement.outer;
	}
	PG_END_TRY();
}

void
running_statement_init(void)
{
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = track_executor_run;
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = track_executor_finish;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = track_process_utility;
}
