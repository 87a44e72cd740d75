/*
 * top_level.c
 *		Statements that must not run inside a transaction.
 *
 * SPI refuses them, so they go the way of a client's query: through a portal
 * of their own.  What must outlive the transactions that such a statement ends
 * and begins is in a context of its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "parser/analyze.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/authority.h"
#include "core/top_level.h"

static List *
plan(const char *sql, RawStmt *raw)
{
	bool		snapshot = analyze_requires_snapshot(raw);
	List	   *plans;

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(raw, sql, NULL, 0, NULL),
							sql, 0, NULL);
	if (snapshot)
		PopActiveSnapshot();
	return plans;
}

static void
run_portal(const char *sql, RawStmt *raw)
{
	Portal		portal = CreatePortal("", true, true);
	DestReceiver *nowhere = CreateDestReceiver(DestNone);

	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(raw->stmt),
					  plan(sql, raw), NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	compat_portal_run_all(portal, nowhere);
	PortalDrop(portal, false);
}

void
top_level_run(const char *sql, Oid owned)
{
	AuthorityScope scope;
	bool		restricted;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "tandem statement",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *parsed;

	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	restricted = OidIsValid(owned) && authority_enter_owner_of(&scope, owned);
	MemoryContextSwitchTo(context);
	parsed = pg_parse_query(sql);
	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("expected one statement, not %d", list_length(parsed)),
				 errdetail("Text: %s", sql)));
	run_portal(sql, linitial_node(RawStmt, parsed));
	if (restricted)
		authority_leave(&scope);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	pgstat_report_activity(STATE_IDLE, NULL);
	debug_query_string = NULL;
}
