/*
 * statement.c
 *		Runs statements on the user's tables, within a transaction and
 *		outside of one.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/statement.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * DDL statements that we run.
 *-------------------------------------------------------------------------
 */

static bool running = false;

bool
ddl_is_running(void)
{
	return running;
}

void
ddl_refuse_nested(void)
{
	if (running)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot change a migration from within a statement that pg_tandem runs"),
				 errdetail("An event trigger, or a function that the statement calls, has called a function of pg_tandem."),
				 errhint("Have it do nothing where the application calls pg_tandem, or make the call in a transaction of its own.")));
}

/* Call in a scope that has pinned the search_path. */
static void
run_ddl_statement(const char *sql)
{
	bool		outer = running;
	int			result = 0;

	extension_refuse_upgrade();
	authority_pin_text_forms();
	SPI_connect();
	running = true;
	PG_TRY();
	{
		/* a background worker has no portal, so SPI has no snapshot to use */
		PushActiveSnapshot(GetTransactionSnapshot());
		result = SPI_execute(sql, false, 0);
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
	if (result != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("statement failed: %s", SPI_result_code_string(result)),
				 errdetail("Statement: %s", sql)));
	SPI_finish();
	CommandCounterIncrement();
}

void
ddl_run(const char *sql)
{
	AuthorityScope scope;

	authority_pin_search_path(&scope);
	run_ddl_statement(sql);
	authority_leave(&scope);
}

void
ddl_run_stored(Oid relid, const char *sql)
{
	AuthorityScope scope;

	authority_enter_stored(&scope, relid);
	run_ddl_statement(sql);
	authority_leave(&scope);
}

/*-------------------------------------------------------------------------
 * Statements that cannot run inside a transaction block.
 *
 * SPI refuses them, so they are run like a client's query, through a portal.
 * What must survive the transactions that such a statement ends and starts has
 * a memory context of its own.
 *
 * A security-restricted operation cannot span transactions.  So for CREATE
 * INDEX CONCURRENTLY only parse analysis is restricted, which is the only step
 * that uses its text.  For what the statement evaluates later, the server
 * restricts itself, as for VACUUM, ANALYZE and REINDEX.
 *-------------------------------------------------------------------------
 */

typedef struct TopLevelStatement
{
	const char *sql;
	RawStmt    *raw;
	Oid			relid;			/* the table that it is for */
} TopLevelStatement;

/* The owner cannot change while the table is locked. */
static void
check_statement_owner(const TopLevelStatement *statement)
{
	authority_check_partition(statement->relid);
	if (authority_table_owner(statement->relid) != GetUserId())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has another owner now",
						quoting_shown_name(statement->relid)),
				 errhint("Call tandem.migrate again: it continues as that role.")));
}

/*
 * Enters a restricted scope as the table's owner.  The table must stay locked.
 */
static void
enter_statement_scope(const TopLevelStatement *statement,
					  AuthorityScope *scope, const char *search_path)
{
	Relation	rel;

	check_statement_owner(statement);
	rel = table_open(statement->relid, NoLock);
	authority_enter_owner(scope, rel, search_path);
	table_close(rel, NoLock);
}

/*
 * Analyzes the expressions and the predicate, which may run functions and
 * CHECKs of domains.  The server does not analyze a transformed statement
 * again.  It is run under the lock taken here, so that the table cannot change
 * in between.
 */
static void
transform_index_statement(const TopLevelStatement *statement)
{
	IndexStmt  *stmt = (IndexStmt *) statement->raw->stmt;
	Oid			relid = RangeVarGetRelid(stmt->relation,
										 stmt->concurrent ? ShareUpdateExclusiveLock : ShareLock,
										 false);
	AuthorityScope scope;

	if (relid != statement->relid)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" is another table now",
						stmt->relation->relname),
				 errhint("Call tandem.migrate again: it uses the table that has the name now.")));
	enter_statement_scope(statement, &scope, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) transformIndexStmt(relid, stmt, statement->sql);
	PopActiveSnapshot();
	authority_leave(&scope);
}

static List *
plan_utility_statement(const TopLevelStatement *statement)
{
	bool		snapshot = analyze_requires_snapshot(statement->raw);
	List	   *plans;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(statement->raw, statement->sql,
															   NULL, 0, NULL),
							statement->sql, 0, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

static void
run_statement_portal(const TopLevelStatement *statement)
{
	Portal		portal = CreatePortal("", true, true);
	DestReceiver *nowhere = CreateDestReceiver(DestNone);

	portal->visible = false;
	PortalDefineQuery(portal, NULL, statement->sql,
					  CreateCommandTag(statement->raw->stmt),
					  plan_utility_statement(statement), NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	compat_portal_run_all(portal, nowhere);
	PortalDrop(portal, false);
}

/*
 * Fires the event triggers of one event, restricted.  Does nothing if the
 * table was dropped, or if this server has no such event for the command.
 */
static void
fire_event_triggers(const TopLevelStatement *statement, void (*event) (Node *))
{
	AuthorityScope scope;

	if (!command_tag_event_trigger_ok(CreateCommandTag(statement->raw->stmt)) ||
		!authority_enter_owner_of(&scope, statement->relid))
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	event(statement->raw->stmt);
	PopActiveSnapshot();
	authority_leave(&scope);
}

/* Executes the statement as the server does, but without event triggers. */
static void
execute_statement(const TopLevelStatement *statement)
{
	Node	   *stmt = statement->raw->stmt;
	ParseState *pstate;

	PushActiveSnapshot(GetTransactionSnapshot());
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			EventTriggerCollectSimpleCommand(compat_define_index(statement->relid,
																 (IndexStmt *) stmt,
																 false),
											 InvalidObjectAddress, stmt);
			break;
		case T_DropStmt:
			RemoveRelations((DropStmt *) stmt);
			break;
		default:
			pstate = make_parsestate(NULL);
			pstate->p_sourcetext = statement->sql;
			ExecReindex(pstate, (ReindexStmt *) stmt, true);
			break;
	}

	/*
	 * the snapshot set above ends with the first transaction, if that has
	 * ended
	 */
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
}

/*
 * In a borrowed session the functions of event triggers could switch back to
 * the superuser.  So fire them around the statement, restricted.
 */
static void
run_in_borrowed_session(const TopLevelStatement *statement)
{
	bool		begun = EventTriggerBeginCompleteQuery();

	PG_TRY();
	{
		fire_event_triggers(statement, EventTriggerDDLCommandStart);
		execute_statement(statement);
		fire_event_triggers(statement, EventTriggerSQLDrop);
		fire_event_triggers(statement, EventTriggerDDLCommandEnd);
	}
	PG_FINALLY();
	{
		if (begun)
			EventTriggerEndCompleteQuery();
	}
	PG_END_TRY();
}

/* The statement needs only one transaction, so all of it is restricted. */
static void
run_statement_restricted(const TopLevelStatement *statement)
{
	AuthorityScope scope;

	LockRelationOid(statement->relid, AccessShareLock);
	enter_statement_scope(statement, &scope, NULL);
	run_statement_portal(statement);
	authority_leave(&scope);
}

static void
run_statement_concurrently(const TopLevelStatement *statement)
{
	if (authority_session_is_borrowed())
		run_in_borrowed_session(statement);
	else
		run_statement_portal(statement);
}

/*
 * Runs each kind of statement in the way that it allows: restricted in one
 * transaction, or through a portal in several.
 */
static void
run_top_level_statement(const TopLevelStatement *statement)
{
	check_statement_owner(statement);
	switch (nodeTag(statement->raw->stmt))
	{
		case T_AlterTableStmt:
			run_statement_restricted(statement);
			break;
		case T_VacuumStmt:
			/* fires no event triggers */
			run_statement_portal(statement);
			break;
		case T_IndexStmt:
			transform_index_statement(statement);
			run_statement_concurrently(statement);
			break;
		case T_DropStmt:
		case T_ReindexStmt:
			run_statement_concurrently(statement);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("unexpected statement at top level"),
					 errdetail("Text: %s", statement->sql)));
	}
}

void
top_level_run(const char *sql, Oid relid)
{
	TopLevelStatement statement = {.sql = sql,.relid = relid};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "tandem statement",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *parsed;

	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	/* raw parsing only: nothing is looked up yet */
	parsed = pg_parse_query(sql);
	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected one statement, not %d", list_length(parsed)),
				 errdetail("Text: %s", sql)));
	statement.raw = linitial_node(RawStmt, parsed);
	run_top_level_statement(&statement);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
}
