/*
 * fence.c
 *		Refuses the statements of a session whose release is not served.
 *
 * A session with a declared release (session_release) holds a lock on the
 * address of tandem.registry with its release.  It is a session lock, of the kind of
 * advisory locks, which survives an abort and ends with the process.  From
 * these locks contract and tandem.sessions know the sessions.  It is taken
 * before the registry is looked at.  So after a change of the registry,
 * looking for sessions finds each one that has not seen the change.
 *
 * Each node may run the script of its release.  So the fence refuses DDL only
 * to retired releases; an unknown release may do what touches no existing row;
 * and the transaction that creates a migration of the session's release, or
 * registers it, is not refused anything.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/tlist.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"

#include "catalog/session_release.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/statement.h"
#include "release/fence.h"
#include "release/session.h"

static ExecutorStart_hook_type next_executor_start = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;
static post_parse_analyze_hook_type next_analyzed = NULL;

/*
 * Who has not set the release should see why the session has one.  The schema
 * may have nothing to do with releases.
 */
static const char *
release_source(int release)
{
	return setting_release > 0 ? ""
		: psprintf(" The session declares its release by schema \"%s%d\" in its search_path.",
				   release_prefix(), release);
}

static void
refuse_fenced_statement(const Registry *registry, int release,
						ReleaseState state)
{
	if (state == RELEASE_RETIRED)
		ereport(ERROR,
				(errcode(ERRCODE_RELEASE_NOT_SERVED),
				 errmsg("release %d is no longer served", release),
				 errdetail("The database serves release %d and later.%s",
						   registry->lowest, release_source(release)),
				 errhint("Start a node of release %d or later instead.",
						 registry->lowest)));
	ereport(ERROR,
			(errcode(ERRCODE_RELEASE_NOT_SERVED),
			 errmsg("release %d is not served yet", release),
			 errdetail("The newest release that the database knows is %d.%s",
					   registry->highest, release_source(release)),
			 errhint("Run the migrations of release %d first, or, if it needs none, SELECT tandem.register_release(%d);",
					 release, release)));
}

/* What a statement does with rows of user tables. */
typedef enum RowUse
{
	ROWS_UNTOUCHED,
	ROWS_READ,
	ROWS_WRITTEN
} RowUse;

/* Examined only if the state of the release requires it. */
typedef struct FencedStatement
{
	const PlannedStmt *query;	/* or NULL */
	Node	   *utility;		/* or NULL */
	bool		writes;			/* known without either */
} FencedStatement;

/* A table created by this transaction has no rows of others. */
static bool
table_is_made_by_transaction(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		made = false;

	if (rel)
	{
		made = rel->rd_createSubid != InvalidSubTransactionId;
		RelationClose(rel);
	}
	return made;
}

/* The catalogs, and our tables, do not count as user tables. */
static bool
table_is_of_users(Oid relid)
{
	Oid			namespace = get_rel_namespace(relid);

	return relid >= FirstNormalObjectId && !isAnyTempNamespace(namespace) &&
		namespace != get_rel_namespace(registry_relid()) &&
		!table_is_made_by_transaction(relid);
}

static bool
query_reads_rows(const PlannedStmt *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && table_is_of_users(rte->relid))
			return true;
	}
	return false;
}

/* Locking rows counts as writing. */
static bool
query_writes_rows(const PlannedStmt *query)
{
	Bitmapset  *written = compat_result_relations(query);
	int			number = -1;
	ListCell   *lc;

	while ((number = bms_next_member(written, number)) >= 0)
	{
		if (table_is_of_users(rt_fetch(number, query->rtable)->relid))
			return true;
	}
	if (query->commandType != CMD_SELECT)
		return false;
	foreach(lc, query->rowMarks)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_node(PlanRowMark, lc)->rti,
									  query->rtable);

		if (rte->rtekind != RTE_RELATION || table_is_of_users(rte->relid))
			return true;
	}
	return false;
}

/* If it does not exist, the server will report that. */
static bool
names_users_table(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) && table_is_of_users(relid);
}

/* Queries within utility statements are checked when they are executed. */
static RowUse
utility_row_use(Node *utility)
{
	ListCell   *lc;

	if (IsA(utility, NotifyStmt))
		return ROWS_WRITTEN;
	if (IsA(utility, CopyStmt))
	{
		CopyStmt   *copy = (CopyStmt *) utility;

		if (copy->relation == NULL || !names_users_table(copy->relation))
			return ROWS_UNTOUCHED;
		return copy->is_from ? ROWS_WRITTEN : ROWS_READ;
	}
	if (!IsA(utility, TruncateStmt))
		return ROWS_UNTOUCHED;
	foreach(lc, ((TruncateStmt *) utility)->relations)
	{
		if (names_users_table(lfirst(lc)))
			return ROWS_WRITTEN;
	}
	return ROWS_UNTOUCHED;
}

static RowUse
statement_row_use(const FencedStatement *statement)
{
	if (statement->writes)
		return ROWS_WRITTEN;
	if (statement->utility != NULL)
		return utility_row_use(statement->utility);
	if (query_writes_rows(statement->query))
		return ROWS_WRITTEN;
	return query_reads_rows(statement->query) ? ROWS_READ : ROWS_UNTOUCHED;
}

/* the transaction that runs the script of this session's release */
static LocalTransactionId script = InvalidLocalTransactionId;

void
fence_let_script_pass(int release)
{
	if (release > 0 && release == session_release())
		script = compat_local_transaction_id();
}

/*
 * While no release is registered there is no fence: an application that
 * declares a release may be older than the extension.
 */
static void
check_declared_session(const FencedStatement *statement, int release)
{
	const Registry *registry;
	ReleaseState state;

	session_declare_release(release);
	registry = registry_for_transaction();
	if (registry == NULL || registry->highest == 0)
		return;
	state = registry_state_of(registry, release);
	if (state == RELEASE_RETIRED)
		refuse_fenced_statement(registry, release, state);
	if (script == compat_local_transaction_id())
		return;
	if (state == RELEASE_UNKNOWN &&
		statement_row_use(statement) != ROWS_UNTOUCHED)
		refuse_fenced_statement(registry, release, state);
	if (state == RELEASE_READ_ONLY &&
		statement_row_use(statement) == ROWS_WRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_RELEASE_READ_ONLY),
				 errmsg("release %d may only read yet",
						release),
				 errhint("SELECT * FROM tandem.health(%d); tells why; CALL tandem.wait_for_release(%d); waits until it may write. A migration tool, which writes tables of its own, has tandem.release = tool.",
						 release, release)));
}

static void
check_undeclared_session(void)
{
	/* administrators must be able to connect, and tools to keep their books */
	if (setting_undeclared == UNDECLARED_ALLOW || setting_release_is_tool ||
		superuser() || registry_for_transaction() == NULL)
		return;
	ereport(setting_undeclared == UNDECLARED_WARN ? WARNING : ERROR,
			(errcode(ERRCODE_RELEASE_UNDECLARED),
			 errmsg("this session has not declared a release of the application"),
			 errhint("Use SET tandem.release, ALTER ROLE ... SET tandem.release, or options=-ctandem.release=... when connecting; a migration tool has the value \"tool\".")));
}

/*
 * Background workers are not clients.  Nor is what an event trigger ON login
 * runs: refusing it would keep the session from connecting, and so from
 * calling tandem.health.
 */
static bool
session_is_fenced(void)
{
	return MyBackendType == B_BACKEND && !IsParallelWorker() &&
		!query_is_running() && !ddl_is_running() && IsTransactionState() &&
		!compat_is_logging_in();
}

/* one warning per transaction, but the check is made at each statement */
static void
fence_check_statement(const FencedStatement *statement)
{
	static LocalTransactionId warned = InvalidLocalTransactionId;
	int			release = session_release();

	if (!session_is_fenced())
		return;
	if (release > 0)
	{
		check_declared_session(statement, release);
		return;
	}
	session_undeclare_release();
	if (setting_undeclared != UNDECLARED_ALLOW &&
		warned != compat_local_transaction_id())
	{
		check_undeclared_session();
		warned = compat_local_transaction_id();
	}
}

/*
 * A statement that names a dropped column fails in parse analysis, before any
 * of our hooks.  So a retired release is refused as soon as it begins a
 * transaction block.  Other releases are not: a node that has to wait calls
 * tandem.health in one.
 */
static void
fence_check_begin(void)
{
	const Registry *registry;
	int			release = session_release();

	if (release == 0 || !session_is_fenced())
		return;
	session_declare_release(release);
	registry = registry_for_transaction();
	if (registry && registry_state_of(registry, release) == RELEASE_RETIRED)
		refuse_fenced_statement(registry, release, RELEASE_RETIRED);
}

/* Would any statement have to be checked?  Called for each one. */
static inline bool
fence_is_armed(void)
{
	return MyBackendType == B_BACKEND &&
		(setting_undeclared != UNDECLARED_ALLOW || session_has_declared() ||
		 session_release() > 0);
}

static bool
call_is_ours(Node *node)
{
	return node && IsA(node, FuncExpr) &&
		get_func_namespace(((FuncExpr *) node)->funcid) == extension_schema();
}

/*
 * A query that only calls our functions, such as tandem.health, is meant for
 * the nodes that are not served.
 */
static bool
query_only_asks_us(PlannedStmt *stmt)
{
	Plan	   *plan = stmt->planTree;
	ListCell   *lc;

	/* an argument may contain a query, which may write */
	if (stmt->commandType != CMD_SELECT || stmt->subplans != NIL)
		return false;
	if (IsA(plan, FunctionScan))
	{
		foreach(lc, ((FunctionScan *) plan)->functions)
		{
			if (!call_is_ours(lfirst_node(RangeTblFunction, lc)->funcexpr))
				return false;
		}
		return true;
	}
	if (!IsA(plan, Result) || plan->lefttree || plan->targetlist == NIL)
		return false;
	foreach(lc, plan->targetlist)
	{
		if (!call_is_ours((Node *) lfirst_node(TargetEntry, lc)->expr))
			return false;
	}
	return true;
}

/*-------------------------------------------------------------------------
 * A column of a view that cannot be written: until the release may write, views
 * compute the new columns.  The server refuses it before it plans the statement, in
 * words that say nothing of the release.
 *-------------------------------------------------------------------------
 */

static bool
view_column_is_computed(const Query *view, AttrNumber number)
{
	TargetEntry *shown = get_tle_by_resno(view->targetList, number);

	return shown == NULL || !IsA(shown->expr, Var) || ((Var *) shown->expr)->varattno <= 0;
}

static bool
targets_are_computed(const Query *view, List *targets)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (!target->resjunk && view_column_is_computed(view, target->resno))
			return true;
	}
	return false;
}

static bool
view_write_fails(const Query *query, Relation rel)
{
	Query	   *view = get_view_query(rel);
	ListCell   *lc;

	if (targets_are_computed(view, query->targetList) ||
		(query->onConflict && targets_are_computed(view, query->onConflict->onConflictSet)))
		return true;
	foreach(lc, query->mergeActionList)
	{
		if (targets_are_computed(view, lfirst_node(MergeAction, lc)->targetList))
			return true;
	}
	/* of a row of defaults no column is named */
	return query->commandType == CMD_INSERT && view_query_is_auto_updatable(view, true) != NULL;
}

static bool
query_writes_computed_column(const Query *query)
{
	Relation	rel;
	bool		computed = false;
	ListCell   *lc;

	foreach(lc, query->cteList)
	{
		Node	   *part = lfirst_node(CommonTableExpr, lc)->ctequery;

		if (IsA(part, Query) && query_writes_computed_column((Query *) part))
			return true;
	}
	if (query->commandType == CMD_SELECT || query->commandType == CMD_UTILITY ||
		query->resultRelation == 0)
		return false;
	rel = RelationIdGetRelation(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (rel == NULL)
		return false;

	/*
	 * it may be of another release, or the user's: who may only read writes
	 * neither
	 */
	if (rel->rd_rel->relkind == RELKIND_VIEW && !rel->rd_rel->relhastriggers)
		computed = view_write_fails(query, rel);
	RelationClose(rel);
	return computed;
}

static void
fence_analyzed(ParseState *pstate, Query *query, COMPAT_JUMBLE_STATE * jumble)
{
	if (next_analyzed)
		next_analyzed(pstate, query, jumble);
	if (fence_is_armed() && session_release() > 0 && query_writes_computed_column(query))
	{
		FencedStatement statement = {.writes = true};

		fence_check_statement(&statement);
	}
}

static void
fence_executor_start(QueryDesc *query, int flags)
{
	if (fence_is_armed() && !query_only_asks_us(query->plannedstmt))
	{
		FencedStatement statement = {.query = query->plannedstmt};

		fence_check_statement(&statement);
	}
	if (next_executor_start)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/*
 * Does the statement change nothing in the database, or is it needed by all
 * sessions?
 */
static bool
utility_is_harmless(Node *statement)
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
		case T_CallStmt:		/* its statements are checked */
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
utility_begins_block(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		(((TransactionStmt *) statement)->kind == TRANS_STMT_BEGIN ||
		 ((TransactionStmt *) statement)->kind == TRANS_STMT_START);
}

static void
fence_check_utility(Node *utility)
{
	FencedStatement statement = {.utility = utility};

	if (utility_begins_block(utility))
		fence_check_begin();
	else if (!utility_is_harmless(utility))
		fence_check_statement(&statement);
}

static void
fence_process_utility(PlannedStmt *stmt, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	if (fence_is_armed())
		fence_check_utility(stmt->utilityStmt);
	if (next_process_utility)
		next_process_utility(stmt, text, read_only_tree, context, params,
							 environment, receiver, completion);
	else
		standard_ProcessUtility(stmt, text, read_only_tree, context, params,
								environment, receiver, completion);
}

/*
 * If the release comes from the connection or the role, the session declares
 * it before it is visible to others: the server loads a session's libraries in
 * its startup transaction.
 */
static void
declare_at_session_start(void)
{
	if (MyBackendType != B_BACKEND || !IsTransactionState())
		return;
	session_note_fenced();
	if (session_release() > 0)
		session_declare_release(session_release());
}

void
fence_init(void)
{
	/* sessions of pg_upgrade may get a release from their role or database */
	if (IsBinaryUpgrade)
		return;
	/* a session's libraries are loaded before normal processing starts */
	if (!process_shared_preload_libraries_in_progress &&
		!IsInitProcessingMode())
		return;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = fence_executor_start;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = fence_process_utility;
	next_analyzed = post_parse_analyze_hook;
	post_parse_analyze_hook = fence_analyzed;
	if (process_shared_preload_libraries_in_progress)
		sessions_are_all_fenced();
	else
		declare_at_session_start();
}
