/*
 * statement.c
 *		Runs statements on the user's tables, within a transaction and
 *		outside of one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * DDL statements that we run.
 *-------------------------------------------------------------------------
 */

/*
 * Our statements are read with search_path pinned.  The event triggers that they
 * fire are of others, and are called as by a statement of the caller: with the
 * search_path, and the forms of texts, that it has.  The server offers no place
 * between the two but the call of the function itself.
 */
typedef struct RunningStatement
{
	CallerSettings caller;
	CallerSettings pinned;		/* what the statement itself has */
	int			calls;			/* functions of event triggers, one within
								 * another */
	int			settings_level; /* GUC nest level of the outermost of them, or
								 * 0: the server ends it */
	char	   *function;		/* its name, for messages */
	bool		failed;			/* it has ended with an error */
	bool		given;			/* a user has stored it as a whole */
} RunningStatement;

static RunningStatement *running = NULL;

static needs_fmgr_hook_type next_needs_fmgr_hook = NULL;
static fmgr_hook_type next_fmgr_hook = NULL;

bool
ddl_is_running(void)
{
	return running != NULL;
}

bool
ddl_is_ours(void)
{
	return running != NULL && !running->given;
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

static bool
is_of_event_trigger(Oid funcid)
{
	return running && get_func_rettype(funcid) == EVENT_TRIGGEROID;
}

static bool
event_trigger_needs_hook(Oid funcid)
{
	return (next_needs_fmgr_hook && next_needs_fmgr_hook(funcid)) ||
		is_of_event_trigger(funcid);
}

/* Returns the settings of the function's SET clauses, as "name=value". */
static List *
settings_of_function(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	List	   *settings = NIL;
	Datum		value;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	value = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
		settings = strings_from_array(value);
	ReleaseSysCache(tuple);
	return settings;
}

static char *
shown_name_of_function(Oid funcid)
{
	char	   *name = get_func_name(funcid);

	return name ? quote_qualified_identifier(quoting_shown_schema(get_func_namespace(funcid)), name)
		: psprintf("OID %u", funcid);
}

/* The server has applied the settings of the function itself before. */
static void
begin_event_trigger(Oid funcid)
{
	List	   *settings = settings_of_function(funcid);

	if (running->calls++ > 0)
		return;					/* another has called it */
	/* lives until the call has ended, and an error of it is handled */
	running->function = shown_name_of_function(funcid);
	running->settings_level = settings == NIL ? NewGUCNestLevel() : 0;
	authority_take_caller(&running->caller, settings);
}

/*
 * What it has set does not last: our statement continues with what is pinned.
 * For SET clauses of the function the server has a nest level of its own, which it
 * ends before it calls us, keeping what the body has set besides.
 */
static void
end_event_trigger(bool failed)
{
	if (--running->calls > 0)
		return;
	running->failed = failed;
	/* after an error the abort of the (sub)transaction does this */
	if (failed)
		return;
	if (running->settings_level > 0)
		AtEOXact_GUC(false, running->settings_level);
	else
		authority_take_caller(&running->pinned, NIL);
}

static void
hook_event_trigger(FmgrHookEventType event, FmgrInfo *function, Datum *private)
{
	if (next_fmgr_hook)
		next_fmgr_hook(event, function, private);
	if (!is_of_event_trigger(function->fn_oid))
		return;
	if (event == FHET_START)
		begin_event_trigger(function->fn_oid);
	else
		end_event_trigger(event == FHET_ABORT);
}

static void
hook_event_triggers(void)
{
	static bool hooked = false;

	if (hooked)
		return;
	next_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = event_trigger_needs_hook;
	next_fmgr_hook = fmgr_hook;
	fmgr_hook = hook_event_trigger;
	hooked = true;
}

/*
 * Call in a scope that has pinned the search_path, with what its caller had before.
 */
static void
run_ddl_statement(const char *sql, RunningStatement *statement)
{
	MemoryContext context = CurrentMemoryContext;
	RunningStatement *outer = running;
	int			result = 0;

	extension_refuse_upgrade();
	hook_event_triggers();
	authority_pin_text_forms();
	authority_note_caller(&statement->pinned, GetUserId());
	SPI_connect();
	running = statement;
	PG_TRY();
	{
		/* a background worker has no portal, so SPI has no snapshot to use */
		PushActiveSnapshot(GetTransactionSnapshot());
		result = SPI_execute(sql, false, 0);
		PopActiveSnapshot();
	}
	PG_CATCH();
	{
		running = outer;
		if (statement->failed)

			/*
			 * the server's context does not say what the statement was called
			 * for
			 */
			rethrow_explained(context, false,
							  psprintf("The error is that of an event trigger: the server calls its function %s for this statement, as for any other. Correct the function, or disable the trigger with ALTER EVENT TRIGGER, then call it again.",
									   statement->function));
		PG_RE_THROW();
	}
	PG_END_TRY();
	running = outer;
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
	RunningStatement statement = {0};
	AuthorityScope scope;

	authority_note_caller(&statement.caller, GetUserId());
	authority_pin_search_path(&scope);
	run_ddl_statement(sql, &statement);
	authority_leave(&scope);
}

void
ddl_run_stored(Oid relid, const char *sql)
{
	RunningStatement statement = {0};
	AuthorityScope scope;

	authority_note_caller(&statement.caller, authority_table_owner(relid));
	authority_enter_stored(&scope, relid, AUTHORITY_PINNED_PATH);
	run_ddl_statement(sql, &statement);
	authority_leave(&scope);
}

void
ddl_run_as(Oid role, const char *sql, const char *search_path)
{
	RunningStatement statement = {0};
	AuthorityScope scope;

	authority_note_caller(&statement.caller, role);
	authority_enter_role(&scope, role, search_path);
	run_ddl_statement(sql, &statement);
	authority_leave(&scope);
}

static void
run_under_path(Oid relid, const char *sql, const char *search_path, bool given)
{
	RunningStatement statement = {.given = given};
	AuthorityScope scope;

	authority_note_caller(&statement.caller, authority_table_owner(relid));
	authority_enter_stored(&scope, relid,
						   authority_path_of_role(search_path ? search_path
												  : authority_callers_path(&statement.caller)));
	run_ddl_statement(sql, &statement);
	authority_leave(&scope);
}

void
ddl_run_evaluating(Oid relid, const char *sql, const char *search_path)
{
	run_under_path(relid, sql, search_path, false);
}

void
ddl_run_given(Oid relid, const char *sql, const char *search_path)
{
	run_under_path(relid, sql, search_path, true);
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
	MemoryContext context;
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

/* Returns the tables that the statement is going to lock. */
static List *
tables_of_statement(const TopLevelStatement *statement)
{
	Node	   *stmt = statement->raw->stmt;

	if (IsA(stmt, AlterTableStmt))
		return table_tree(statement->relid);
	/* VACUUM begins a transaction of its own, in which nobody waits for it */
	if (IsA(stmt, VacuumStmt) && ((VacuumStmt *) stmt)->is_vacuumcmd)
		return NIL;
	return list_make1_oid(statement->relid);
}

/*
 * Each of these statements waits for others of its kind, a REINDEX CONCURRENTLY
 * of somebody else say, which wait for the snapshots of others in turn, and for
 * the session that has locked the table.  So it waits for the tables here, with no snapshot
 * and no lock on them.
 */
static void
wait_for_tables(const TopLevelStatement *statement)
{
	List	   *relids = tables_of_statement(statement);
	ListCell   *lc;

	list_sort(relids, list_oid_cmp);
	foreach(lc, relids)
	{
		InvalidateCatalogSnapshot();
		LockRelationOid(lfirst_oid(lc), ShareUpdateExclusiveLock);
	}
}

/* The statement needs only one transaction, so all of it is restricted. */
static void
run_statement_restricted(const TopLevelStatement *statement)
{
	AuthorityScope scope;

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
	wait_for_tables(statement);
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

/* Has the database event triggers of anybody else? */
static bool
others_have_event_triggers(void)
{
	Relation	triggers = table_open(EventTriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(triggers, InvalidOid, false, NULL, 0, NULL);
	Oid			ours = extension_schema();
	bool		found = false;
	HeapTuple	tuple;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_event_trigger trigger = (Form_pg_event_trigger) GETSTRUCT(tuple);

		found = get_func_namespace(trigger->evtfoid) != ours;
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

/*
 * All that the server runs of the statement itself, an expression of an index
 * say, is restricted, and leaves no setting behind; an advisory lock it may
 * leave.
 */
static bool
session_stays_clean(const TopLevelStatement *statement)
{
	bool		clean;

	LockReleaseSession(USER_LOCKMETHOD);
	if (!command_tag_event_trigger_ok(CreateCommandTag(statement->raw->stmt)))
		return true;
	StartTransactionCommand();
	clean = !others_have_event_triggers();
	CommitTransactionCommand();
	return clean;
}

static MemoryContext
statement_context(void)
{
	return AllocSetContextCreate(TopMemoryContext, "tandem statement", ALLOCSET_DEFAULT_SIZES);
}

/* Runs exactly one statement, which run knows how to, in transactions of its own. */
static void
run_one_at_top_level(TopLevelStatement *statement, void (*run) (const TopLevelStatement *))
{
	const char *sql = statement->sql;
	List	   *parsed;

	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(statement->context);
	/* raw parsing only: nothing is looked up yet */
	parsed = pg_parse_query(sql);
	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected one statement, not %d", list_length(parsed)),
				 errdetail("Text: %s", sql)));
	statement->raw = linitial_node(RawStmt, parsed);
	run(statement);
	CommitTransactionCommand();
}

static void
end_statement(TopLevelStatement *statement, MemoryContext caller)
{
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(statement->context);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
}

bool
top_level_run(const char *sql, Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	TopLevelStatement statement = {.sql = sql,.relid = relid,.context = statement_context()};
	bool		clean;

	run_one_at_top_level(&statement, run_top_level_statement);
	clean = session_stays_clean(&statement);
	end_statement(&statement, caller);
	return clean;
}

void
top_level_run_own(const char *sql)
{
	MemoryContext caller = CurrentMemoryContext;
	TopLevelStatement statement = {.sql = sql,.context = statement_context()};

	run_one_at_top_level(&statement, run_statement_portal);
	end_statement(&statement, caller);
}
