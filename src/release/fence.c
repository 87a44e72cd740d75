/*
 * fence.c
 *		Refuses the statements of a session whose release is not served.
 *
 * A declared session holds a lock on the address of tandem.registry with its
 * release: a session lock, of the kind of advisory locks, which outlives an
 * abort and ends with the process.  By it contract and tandem.sessions know who
 * is there.  It is taken before the registry is looked at, so that whoever
 * changes the registry and then looks for sessions finds each one that has not
 * seen the change.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/settings.h"
#include "ddl/statement.h"
#include "release/declared.h"
#include "release/fence.h"
#include "release/served.h"

static ExecutorStart_hook_type next_executor_start = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;

static void
refuse(const Registry *registry, ReleaseState state)
{
	if (state == RELEASE_RETIRED)
		ereport(ERROR,
				(errcode(ERRCODE_RELEASE_NOT_SERVED),
				 errmsg("release %d is no longer served", setting_release),
				 errdetail("The database serves release %d and later.",
						   registry->lowest),
				 errhint("Start a node of release %d or later instead: SELECT * FROM tandem.releases;",
						 registry->lowest)));
	ereport(ERROR,
			(errcode(ERRCODE_RELEASE_NOT_SERVED),
			 errmsg("release %d is not served yet", setting_release),
			 errdetail("The newest release that the database knows is %d.",
					   registry->highest),
			 errhint("Run the migrations of release %d first; one that needs none is made known by: SELECT tandem.register_release(%d);",
					 setting_release, setting_release)));
}

static void
check_declared(bool writes)
{
	const Registry *registry;
	ReleaseState state;

	declared_hold(setting_release);
	registry = served_in_transaction();
	if (registry == NULL)
		return;
	state = registry_state_of(registry, setting_release);
	if (state == RELEASE_RETIRED || state == RELEASE_UNKNOWN)
		refuse(registry, state);
	if (state == RELEASE_READ_ONLY && writes)
		ereport(ERROR,
				(errcode(ERRCODE_RELEASE_READ_ONLY),
				 errmsg("release %d may only read until its migration has filled all rows",
						setting_release),
				 errhint("Wait for it: CALL tandem.wait_for_release(%d); or look: SELECT * FROM tandem.progress;",
						 setting_release)));
}

static void
check_undeclared(void)
{
	/* an administrator must be able to get in */
	if (setting_undeclared == UNDECLARED_ALLOW || superuser() ||
		served_in_transaction() == NULL)
		return;
	ereport(setting_undeclared == UNDECLARED_WARN ? WARNING : ERROR,
			(errcode(ERRCODE_RELEASE_UNDECLARED),
			 errmsg("this session does not say which release of the application it is"),
			 errhint("SET tandem.release, ALTER ROLE ... SET tandem.release, or options=-ctandem.release=... when connecting.")));
}

/* warned once a transaction, checked at each statement */
static void
check(bool writes)
{
	static LocalTransactionId warned = InvalidLocalTransactionId;

	if (MyBackendType != B_BACKEND || IsParallelWorker() ||
		query_is_running() || ddl_is_running() || !IsTransactionState())
		return;
	if (setting_release > 0)
	{
		check_declared(writes);
		return;
	}
	declared_release();
	if (setting_undeclared != UNDECLARED_ALLOW &&
		warned != compat_local_transaction_id())
	{
		check_undeclared();
		warned = compat_local_transaction_id();
	}
}

/*
 * A statement that names a column which is gone fails while it is parsed, where
 * no hook looks: so a transaction block of a retired release is refused as it
 * begins.  Others are not: a node that must wait asks tandem.health in one.
 */
static void
check_begin(void)
{
	const Registry *registry;

	if (setting_release == 0 || MyBackendType != B_BACKEND)
		return;
	declared_hold(setting_release);
	registry = served_in_transaction();
	if (registry &&
		registry_state_of(registry, setting_release) == RELEASE_RETIRED)
		refuse(registry, RELEASE_RETIRED);
}

/* Whether any statement would have to be looked at. */
static inline bool
is_armed(void)
{
	return setting_release > 0 || setting_undeclared != UNDECLARED_ALLOW ||
		declared_is_held();
}

static bool
is_ours(Node *node)
{
	return node && IsA(node, FuncExpr) &&
		get_func_namespace(((FuncExpr *) node)->funcid) == extension_schema();
}

/*
 * A statement that only calls functions of ours, such as tandem.health, is for
 * the very nodes that are not served.
 */
static bool
only_asks_us(PlannedStmt *stmt)
{
	Plan	   *plan = stmt->planTree;
	ListCell   *lc;

	/* an argument may be a query, which may write */
	if (stmt->commandType != CMD_SELECT || stmt->subplans != NIL)
		return false;
	if (IsA(plan, FunctionScan))
	{
		foreach(lc, ((FunctionScan *) plan)->functions)
		{
			if (!is_ours(lfirst_node(RangeTblFunction, lc)->funcexpr))
				return false;
		}
		return true;
	}
	if (!IsA(plan, Result) || plan->lefttree || plan->targetlist == NIL)
		return false;
	foreach(lc, plan->targetlist)
	{
		if (!is_ours((Node *) lfirst_node(TargetEntry, lc)->expr))
			return false;
	}
	return true;
}

static void
start_executor(QueryDesc *query, int flags)
{
	if (is_armed() && !only_asks_us(query->plannedstmt))
		check(query->plannedstmt->commandType != CMD_SELECT ||
			  query->plannedstmt->hasModifyingCTE ||
			  query->plannedstmt->rowMarks != NIL);
	if (next_executor_start)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/* Statements that change nothing of the database, or that every session needs. */
static bool
is_harmless(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_DiscardStmt:
		case T_DeallocateStmt:
		case T_ClosePortalStmt:
		case T_ConstraintsSetStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_CallStmt:		/* its statements are looked at */
		case T_DoStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_ExplainStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_LoadStmt:
			return true;
		default:
			return false;
	}
}

static bool
writes_nothing(Node *statement)
{
	return (IsA(statement, CopyStmt) && !((CopyStmt *) statement)->is_from) ||
		IsA(statement, LockStmt) || IsA(statement, CheckPointStmt);
}

static bool
begins_block(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		(((TransactionStmt *) statement)->kind == TRANS_STMT_BEGIN ||
		 ((TransactionStmt *) statement)->kind == TRANS_STMT_START);
}

/* EXPLAIN ANALYZE makes the table. */
static bool
explains_create_table(Node *statement)
{
	Query	   *query;

	if (!IsA(statement, ExplainStmt))
		return false;
	query = (Query *) ((ExplainStmt *) statement)->query;
	return IsA(query, Query) && query->commandType == CMD_UTILITY &&
		IsA(query->utilityStmt, CreateTableAsStmt);
}

static void
check_utility(Node *statement)
{
	if (begins_block(statement))
		check_begin();
	else if (!is_harmless(statement) || explains_create_table(statement))
		check(!writes_nothing(statement));
}

static void
process_utility(PlannedStmt *stmt, const char *text, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *receiver,
				QueryCompletion *completion)
{
	if (is_armed())
		check_utility(stmt->utilityStmt);
	if (next_process_utility)
		next_process_utility(stmt, text, read_only_tree, context, params,
							 environment, receiver, completion);
	else
		standard_ProcessUtility(stmt, text, read_only_tree, context, params,
								environment, receiver, completion);
}

/*
 * A session that was told its release by its connection or role says so before
 * it is seen: the server loads a session's libraries in the transaction in
 * which the session starts.
 */
static void
declare_at_start(void)
{
	if (setting_release > 0 && MyBackendType == B_BACKEND &&
		IsTransactionState())
		declared_hold(setting_release);
}

void
fence_init(void)
{
	/*
	 * pg_upgrade's own sessions may have a release from their role or
	 * database
	 */
	if (IsBinaryUpgrade)
		return;
	/* a session's libraries are loaded before its processing is normal */
	if (!process_shared_preload_libraries_in_progress &&
		!IsInitProcessingMode())
		return;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	if (!process_shared_preload_libraries_in_progress)
		declare_at_start();
}
