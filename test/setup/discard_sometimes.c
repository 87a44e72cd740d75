/*
 * discard_sometimes.c
 *		For test/hardened --discard-caches: one statement in some, chosen at
 *		random, forgets all cached catalog rows whenever it might be told of a
 *		change.
 *
 * If all did, the tests would take days.  Statements of the extension's own are
 * statements, too; so what it does between two of them is tried once in some as
 * well.  Nothing is forgotten while the server plans.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "optimizer/planner.h"
#include "utils/inval.h"

#define ONE_IN 128

PG_MODULE_MAGIC;

extern void _PG_init(void);

static ExecutorStart_hook_type next_executor_start;

static PlannedStmt *
plan_undisturbed(Query *parse, const char *query_string, int cursorOptions,
				 ParamListInfo boundParams)
{
	int			discard = debug_discard_caches;
	PlannedStmt *volatile result = NULL;

	debug_discard_caches = 0;
	PG_TRY();
	{
		result = standard_planner(parse, query_string, cursorOptions, boundParams);
	}
	PG_FINALLY();
	{
		debug_discard_caches = discard;
	}
	PG_END_TRY();
	return result;
}

/* From this statement to the next.  Every test runs the extension's script. */
static void
choose_statement(QueryDesc *query, int eflags)
{
	debug_discard_caches = !creating_extension &&
		pg_prng_double(&pg_global_prng_state) * ONE_IN < 1;
	if (next_executor_start)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

void
_PG_init(void)
{
	planner_hook = plan_undisturbed;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = choose_statement;
}
