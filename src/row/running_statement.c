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

/* what was in place before: another library's hook, or the server's function */
static ExecutorRun_hook_type next_executor_run;
static ExecutorFinish_hook_type next_executor_finish;
static ProcessUtility_hook_type next_process_utility;

static RunningStatement *innermost = NULL;

RunningStatement *
running_statement_find(MemoryContext context)
{
	RunningStatement *statement = innermost;

	while (statement && statement->context != context)
		statement = statement->outer;
	return statement;
}

/* Calls run, during which the statement is on the stack. */
static void
run_on_stack(RunningStatement *statement, void (*run) (void *), void *call)
{
	statement->outer = innermost;
	innermost = statement;
	PG_TRY();
	{
		run(call);
	}
	PG_FINALLY();
	{
		innermost = statement->outer;
	}
	PG_END_TRY();
}

static void
run_query_on_stack(QueryDesc *query, void (*run) (void *), void *call)
{
	RunningStatement statement = {.query = query,
	.context = query->estate->es_query_cxt};

	run_on_stack(&statement, run, call);
}

static inline bool
query_may_write(const QueryDesc *query)
{
	return query->operation != CMD_SELECT ||
		query->plannedstmt->hasModifyingCTE;
}

typedef struct RunCall
{
	QueryDesc  *query;
	ScanDirection direction;
	uint64		count;
	bool		execute_once;
} RunCall;

static void
call_executor_run(void *arg)
{
	RunCall    *call = arg;

	compat_executor_run(next_executor_run, call->query, call->direction,
						call->count, call->execute_once);
}

static void
track_executor_run(COMPAT_RUN_PARAMETERS)
{
	RunCall		call;

	call.query = query;
	call.direction = direction;
	call.count = count;
	call.execute_once = COMPAT_EXECUTE_ONCE;
	if (query_may_write(query))
		run_query_on_stack(query, call_executor_run, &call);
	else
		call_executor_run(&call);
}

static void
call_executor_finish(void *query)
{
	next_executor_finish(query);
}

/*
 * The executor's end runs the rest of the INSERT, UPDATE or MERGE in a WITH
 * whose rows nobody has asked for.
 */
static void
track_executor_finish(QueryDesc *query)
{
	if (query_may_write(query))
		run_query_on_stack(query, call_executor_finish, query);
	else
		next_executor_finish(query);
}

typedef struct UtilityCall
{
	PlannedStmt *stmt;
	const char *text;
	bool		read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *environment;
	DestReceiver *receiver;
	QueryCompletion *completion;
} UtilityCall;

static void
call_process_utility(void *arg)
{
	UtilityCall *call = arg;

	next_process_utility(call->stmt, call->text, call->read_only_tree,
						 call->context, call->params, call->environment,
						 call->receiver, call->completion);
}

static void
run_copy_on_stack(CopyStmt *copy, UtilityCall *call)
{
	RunningStatement statement = {.copy = copy,
	.context = CurrentMemoryContext};

	run_on_stack(&statement, call_process_utility, call);
}

static void
track_process_utility(PlannedStmt *stmt, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	UtilityCall call;

	call.stmt = stmt;
	call.text = text;

	call.read_only_tree = read_only_tree;
	call.context = context;
	call.params = params;
	call.environment = environment;
	call.receiver = receiver;
	call.completion = completion;
	if (IsA(stmt->utilityStmt, CopyStmt) &&
		((CopyStmt *) stmt->utilityStmt)->is_from)
		run_copy_on_stack((CopyStmt *) stmt->utilityStmt, &call);
	else
		call_process_utility(&call);
}

void
running_statement_init(void)
{
	next_executor_run = ExecutorRun_hook ? ExecutorRun_hook
		: standard_ExecutorRun;
	ExecutorRun_hook = track_executor_run;
	next_executor_finish = ExecutorFinish_hook ? ExecutorFinish_hook
		: standard_ExecutorFinish;
	ExecutorFinish_hook = track_executor_finish;
	next_process_utility = ProcessUtility_hook ? ProcessUtility_hook
		: standard_ProcessUtility;
	ProcessUtility_hook = track_process_utility;
}
