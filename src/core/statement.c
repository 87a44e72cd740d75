/*
 * statement.c
 *		Statements on the user's tables, in the transaction and outside of
 *		one.
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
 * DDL statements of ours.
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

/* Within a scope that has pinned the search_path. */
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
		/* SPI finds none by itself in a worker, which has no portal */
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
 * Statements that must not run inside a transaction.
 *
 * SPI refuses them, so they go the way of a client's query: through a portal
 * of their own.  What must outlive the transactions that such a statement ends
 * and begins is in a context of its own.
 *
 * A security-restricted operation cannot outlive a transaction.  So of CREATE
 * INDEX CONCURRENTLY only the reading is restricted, which is all that takes
 * its text: what it evaluates the server restricts itself, as it does for
 * VACUUM, ANALYZE and REINDEX.
 *-------------------------------------------------------------------------
 */

typedef struct TopLevelStatement
{
	const char *sql;
	RawStmt    *raw;
	Oid			relid;			/* table that it is for */
} TopLevelStatement;

/* As long as the table is locked this stays true. */
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

/* As its owner, restricted.  The table is locked, and stays so. */
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
 * Reads the expressions and the predicate, which may run functions and CHECKs
 * of domains: the server does not read a statement again that has been read.
 * It is run under the lock taken here, so that the table stays as it was read.
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
 * The event triggers of one event, restricted; of a table that has gone, none,
 * nor of a command that has none on this server.
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

/* What the server does for the statement, without its event triggers. */
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
	/* the one above goes with the first transaction, where that has ended */
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
}

/*
 * Where the session is borrowed, the functions of event triggers would be able
 * to take back what it has: they are fired around the statement, restricted.
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

/* All of it restricted: it is of one transaction. */
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
			/* fires no event trigger */
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
	/* the grammar alone: nothing is looked up yet */
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
