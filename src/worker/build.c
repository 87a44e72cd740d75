/*
 * build.c
 *		The steps that build something: indexes, constraints, statistics.
 *
 * Each is asked for its next piece, which takes a moment and is done in a
 * transaction here, or is a statement for a worker.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "backfill/progress_notice.h"
#include "catalog/migration_lock.h"
#include "catalog/sync.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/subtransaction.h"
#include "core/transaction.h"
#include "ddl/build.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_hint.h"
#include "ddl/index_build.h"
#include "worker/blockers.h"
#include "worker/build.h"
#include "worker/command.h"
#include "worker/steering.h"

#define WAIT_FOR_OTHERS_MS 1000

typedef struct Build
{
	Migration  *migration;
	Step	   *step;
	BuildPiece	piece;
	BuildResult result;			/* of the last look */
	ProgressNotice notice;
	bool		analyzed;		/* in this run */
	bool		reopened;		/* what the step had made was gone */
} Build;

/* ANALYZE of the new columns: without it the planner guesses. */
static BuildResult
analyze_next(Build *build)
{
	Step	   *step = build->step;
	StringInfoData sql;
	bool		first = true;
	ListCell   *lc;
	ListCell   *name;

	if (step->done || build->analyzed)
		return BUILD_DONE;
	build->analyzed = true;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ANALYZE %s (", quoting_relation(step->relation));
	foreach(lc, sync_list_of_migration(build->migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation != step->relation)
			continue;
		foreach(name, rule->new_columns)
		{
			appendStringInfo(&sql, "%s%s", first ? "" : ", ",
							 quote_identifier(lfirst(name)));
			first = false;
		}
	}
	appendStringInfoChar(&sql, ')');
	build->piece.statement = sql.data;
	build->piece.doing = psprintf("analyzing the new columns of %s",
								  quoting_raw_name(step->relation));
	build->piece.relation = step->relation;
	return BUILD_STATEMENT;
}

static BuildResult
next_piece(Build *build)
{
	memset(&build->piece, 0, sizeof(BuildPiece));
	switch (build->step->kind)
	{
		case STEP_INDEX:
			return index_build_next(build->step, &build->piece);
		case STEP_NOT_NULL:
			return not_null_build_next(build->step, &build->piece);
		case STEP_CONSTRAINT:
			return constraint_build_next(build->step, &build->piece);
		case STEP_ANALYZE:
			return analyze_next(build);
		default:
			return BUILD_DONE;
	}
}

/* How far the statement of process pid is, where the server tells. */
static void
read_progress(int pid, char **phase, int64 *done, int64 *total)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, pid);
	if (query_run(&query,
				  "SELECT phase, coalesce(nullif(blocks_done, 0), tuples_done), coalesce(nullif(blocks_total, 0), tuples_total) "
				  "FROM pg_stat_progress_create_index WHERE pid = $1 "
				  "UNION ALL SELECT phase, sample_blks_scanned, sample_blks_total "
				  "FROM pg_stat_progress_analyze WHERE pid = $1") > 0)
	{
		*phase = query_get_text(0, 1);
		*done = query_get_bigint(0, 2);
		*total = query_get_bigint(0, 3);
	}
	query_end(&query);
}

static void
watch(int pid, void *arg)
{
	Build	   *build = arg;
	char	   *phase = NULL;
	char	   *blockers;
	int64		done = 0;
	int64		total = 0;

	migration_check_stop(build->migration);
	read_progress(pid, &phase, &done, &total);
	blockers = blockers_of(pid);
	step_set_doing(build->step->id,
				   phase ? psprintf("%s: %s", build->piece.doing, phase)
				   : build->piece.doing, done, total);
	step_set_waiting(build->step->id, NULL, blockers);
	progress_notice_statement(&build->notice, build->step,
							  build->piece.doing, phase, done, total,
							  blockers);
	transaction_commit();
}

/* Class 23: rows that the constraint or the unique index does not allow. */
static char *
hint_for(const Build *build, const CommandError *error)
{
	if (error->hint)
		return error->hint;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		return psprintf("Fix the cause, then run CALL tandem.migrate(%s) again.",
						quote_literal_cstr(build->migration->name));
	return psprintf("%s%sFix the rows, then run CALL tandem.migrate(%s) again.",
					build->step->kind == STEP_INDEX ? ""
					: constraint_violation_hint(build->step),
					build->step->kind == STEP_INDEX ? "" : " ",
					quote_literal_cstr(build->migration->name));
}

static void
note_error(const Build *build, const char *message, const char *detail,
		   const char *hint)
{
	step_set_error(build->step->id,
				   detail ? psprintf("%s -- %s", message, detail) : message,
				   hint);
	transaction_commit();
}

static void
fail(Build *build, CommandError *error)
{
	CommandError *after;

	if (build->piece.cleanup)
	{
		after = command_run(build->migration, build->piece.cleanup,
							build->piece.relation, false, watch, build);
		if (after == NULL && build->piece.index)
			step_forget_index(build->step->id, build->piece.index);
		/* then the next try finds it */
		if (after)
			ereport(WARNING,
					(errcode(after->sqlerrcode),
					 errmsg("could not clean up: %s", after->message),
					 errhint("The next call of tandem.migrate cleans up.")));
	}
	error->hint = hint_for(build, error);
	note_error(build, error->message, error->detail, error->hint);
	command_raise(error);
}

static void
run_statement(Build *build)
{
	CommandError *error;

	step_set_doing(build->step->id, build->piece.doing, 0, 0);
	build->reopened = true;
	/* before it is there: a crash leaves it to be dropped */
	if (build->piece.index)
		step_note_index(build->step->id, build->piece.index);
	transaction_commit();
	error = command_run(build->migration, build->piece.statement,
						build->piece.relation, false, watch, build);
	if (error)
		fail(build, error);
	step_set_waiting(build->step->id, NULL, NULL);
	transaction_commit();
}

static void
look(void *arg)
{
	Build	   *build = arg;

	build->result = next_piece(build);
}

/* Asks for the next piece, and notes its error in the step. */
static BuildResult
ask(Build *build)
{
	ErrorData  *error = subtransaction_try(look, build);

	if (error == NULL)
		return build->result;
	/* the detail of a lock tells of sessions what this role may see of them */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION)
		note_error(build, error->message,
				   error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ? NULL : error->detail,
				   error->hint);
	ReThrowError(error);
}

/* One piece; false: the step is done. */
static bool
go_on(Build *build)
{
	steering_wait(build->migration, build->step->id, NULL);
	switch (ask(build))
	{
		case BUILD_DONE:
			if (!build->step->done || build->reopened)
				step_finish(build->step);
			transaction_commit();
			return false;
		case BUILD_AGAIN:
			transaction_commit();
			return true;
		case BUILD_STATEMENT:
			run_statement(build);
			return true;
		case BUILD_WAIT:
			step_set_waiting(build->step->id, build->piece.doing, NULL);
			transaction_commit();
			interruptible_sleep(WAIT_FOR_OTHERS_MS);
			return true;
	}
	return false;
}

void
build_run(Migration *migration, StepKind kind)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem build",
												  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Build		build = {.migration = migration,.step = lfirst(lc)};
		bool		more = true;

		if (quoting_find_name(build.step->relation) == NULL)
			continue;
		progress_notice_start(&build.notice, build.step);
		while (more)
		{
			MemoryContextSwitchTo(context);
			more = go_on(&build);
			MemoryContextSwitchTo(caller);
			MemoryContextReset(context);
		}
	}
	MemoryContextDelete(context);
}
