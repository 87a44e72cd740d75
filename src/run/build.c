/*
 * build.c
 *		Runs the steps that build something: indexes, constraints,
 *		statistics.
 *
 * Each step is asked for its next piece.  That is either short and done in a
 * transaction here, or a statement to be run by a worker.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/migration_lock.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "ddl/build_piece.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "ending/built.h"
#include "fill/progress_notice.h"
#include "run/build.h"
#include "run/command.h"
#include "run/loop.h"

#define WAIT_FOR_OTHERS_MS 1000

typedef struct Build
{
	Migration  *migration;
	Step	   *step;
	BuildPiece	piece;
	IndexPlan	plan;			/* of an index */
	BuildResult result;			/* of the last piece */
	ProgressNotice notice;
	bool		analyzed;		/* ANALYZE was run in this run */
	int64		give_up;		/* when a statement that gives way to others
								 * fails for good; 0 before the first time */
	double		pause;			/* see lock_next_pause */
	bool		reopened;		/* something that the step had built was gone */
} Build;

/* Runs ANALYZE on the new columns, of which the planner knows nothing yet. */
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
	foreach(lc, sync_list_of_table(build->migration->id, step->relation))
	{
		foreach(name, ((SyncRule *) lfirst(lc))->new_columns)
		{
			appendStringInfo(&sql, "%s%s", first ? "" : ", ",
							 quote_identifier(lfirst(name)));
			first = false;
		}
	}
	appendStringInfoChar(&sql, ')');
	build->piece.statement = sql.data;
	build->piece.phase = DOING_ANALYZE;
	build->piece.doing = psprintf("analyzing the new columns of %s",
								  quoting_raw_name(step->relation));
	build->piece.relation = step->relation;
	return BUILD_STATEMENT;
}

static BuildResult
next_build_piece(Build *build)
{
	memset(&build->piece, 0, sizeof(BuildPiece));
	/* what the user has put in its place, or has not, contract asks for */
	if (build->step->done && !build->reopened && build->step->kind != STEP_ANALYZE &&
		step_is_overtaken(build->step))
		return BUILD_DONE;
	switch (build->step->kind)
	{
		case STEP_INDEX:
			return index_build_next(build->step, &build->plan, &build->piece);
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

/*
 * Reads the progress of process pid from the server's progress views, if any.
 */
static void
read_statement_progress(int pid, char **phase, int64 *done, int64 *total)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, pid);
	if (query_run(&query,
				  "SELECT phase, done, total FROM tandem._statement_progress WHERE pid = $1") > 0)
	{
		*phase = query_get_text(0, 1);
		*done = query_get_bigint(0, 2);
		*total = query_get_bigint(0, 3);
	}
	query_end(&query);
}

static void
watch_statement(int pid, void *arg)
{
	Build	   *build = arg;
	char	   *phase = NULL;
	char	   *blockers;
	int64		done = 0;
	int64		total = 0;

	migration_check_stop(build->migration);
	read_statement_progress(pid, &phase, &done, &total);
	blockers = blockers_of(pid);
	step_set_doing(build->step->id, build->piece.phase,
				   phase ? psprintf("%s: %s", build->piece.doing, phase)
				   : build->piece.doing, done, total);
	step_set_waiting(build->step->id, NULL, blockers);
	progress_notice_statement(&build->notice, build->step,
							  build->piece.doing, phase, done, total,
							  blockers);
}

/* Of a constraint or NOT NULL that could not be validated. */
static char *
hint_for_unfinished(const Build *build)
{
	/* of these steps, only the index of a key has a name */
	if ((build->step->kind != STEP_NOT_NULL &&
		 build->step->kind != STEP_CONSTRAINT) || build->piece.index)
		return "";
	return psprintf(" Until then it is enforced for each row that is written, also by the fill of another migration; SELECT tandem.cancel(%s) takes it back.",
					quote_literal_cstr(build->migration->name));
}

/* Class 23: rows violate the constraint or unique index. */
static char *
hint_for_build_error(const Build *build, const ErrorData *error)
{
	bool		violated = ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
	ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION;

	if (error->hint)
		return error->hint;
	return psprintf("%s%s, then run CALL tandem.migrate(%s) again.%s",
					violated && build->step->kind != STEP_INDEX
					? psprintf("%s ", constraint_violation_hint(build->step)) : "",
					violated ? "Fix the rows" : "Fix the cause",
					quote_literal_cstr(build->migration->name),
					hint_for_unfinished(build));
}

static void
note_build_error(const Build *build, const char *message, const char *detail,
				 const char *hint)
{
	step_set_error(build->step->id,
				   detail ? psprintf("%s -- %s", message, detail) : message,
				   hint);
}

/*
 * Removes what a failed statement leaves behind; the next try finds the rest.
 */
static void
clean_up_failed_build(Build *build)
{
	bool		gave_way;
	ErrorData  *error = command_run(build->migration, build->piece.cleanup,
									build->piece.relation, false,
									watch_statement, build, &gave_way);

	if (error)
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("could not clean up: %s", error->message),
				 errhint("The next call of tandem.migrate cleans up.")));
	else if (build->piece.index)
		step_forget_index(build->step->id, build->piece.index);
}

/*
 * The name of an index is recorded before the index exists, so that the index
 * is known and can be dropped after a crash.
 */
static void
announce_build_statement(Build *build)
{
	step_set_doing(build->step->id, build->piece.phase, build->piece.doing, 0, 0);
	build->reopened = true;
	if (build->piece.index)
		step_note_index(build->step->id, build->piece.index);
}

/* Asks for the next piece, which is then done, or the statement announced. */
static void
build_piece(Loop *loop)
{
	Build	   *build = loop->arg;

	/* of a piece that fails, and comes again, nothing is left to run */
	build->result = BUILD_AGAIN;
	build->result = next_build_piece(build);
	loop->more = build->result != BUILD_DONE;
	switch (build->result)
	{
		case BUILD_DONE:
			if (!build->step->done || build->reopened)
				step_finish(build->step);
			break;
		case BUILD_AGAIN:
			break;
		case BUILD_STATEMENT:
			announce_build_statement(build);
			break;
		case BUILD_WAIT:
			step_set_phase(build->step->id, build->piece.phase);
			step_set_waiting(build->step->id, build->piece.doing, NULL);
			loop->rest_ms = WAIT_FOR_OTHERS_MS;
			break;
	}
}

static bool
build_error_passes(Loop *loop, ErrorData *error)
{
	Build	   *build = loop->arg;
	Oid			relid = OidIsValid(build->piece.relation)
	? build->piece.relation : build->step->relation;

	StepPhase	phase = build->piece.phase != DOING_NOTHING ? build->piece.phase
	: DOING_CONSTRAINT;

	if (loop_lock_passes(loop, error, relid, phase, build->piece.doing))
	{
		if (build->piece.doing)
			step_set_doing(build->step->id, phase, build->piece.doing, 0, 0);
		return true;
	}

	/*
	 * the detail of a lock timeout shows what this role may see of other
	 * sessions
	 */
	if (!error_is_intervention(error))
		note_build_error(build, error->message,
						 error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ? NULL
						 : error->detail, error->hint);
	return false;
}

/* Is a statement that has given way to others to be tried again? */
static bool
statement_comes_again(Loop *loop, Build *build)
{
	if (build->give_up == 0)
		build->give_up = clock_after_ms(lock_retry_ms());
	if (clock_now() >= build->give_up)
		return false;
	build->analyzed = false;
	loop->rest_ms = lock_next_pause(&build->pause);
	return true;
}

/*
 * Called with no snapshot and no lock: CREATE INDEX CONCURRENTLY would wait.
 */
static ErrorData *
build_run_statement(Loop *loop)
{
	Build	   *build = loop->arg;
	ErrorData  *error;
	bool		gave_way;

	if (build->result != BUILD_STATEMENT)
		return NULL;
	error = command_run(build->migration, build->piece.statement,
						build->piece.relation, false, watch_statement, build,
						&gave_way);
	if (error == NULL)
	{
		step_set_waiting(build->step->id, NULL, NULL);
		build->give_up = 0;
		build->pause = 0;
		return NULL;
	}
	if (build->piece.cleanup)
		clean_up_failed_build(build);
	if (gave_way && statement_comes_again(loop, build))
		return NULL;
	error->hint = hint_for_build_error(build, error);
	note_build_error(build, error->message, error->detail, error->hint);
	return error;
}

void
build_run(Migration *migration, StepKind kind)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, kind))
	{
		Build		build = {.migration = migration,.step = lfirst(lc)};
		Loop		loop = {
			.migration = migration,
			.step_id = build.step->id,
			.arg = &build,
			.work = build_piece,
			.passes = build_error_passes,
			.after = build_run_statement,
			.retries_locks = true,
		};

		if (!relation_exists(build.step->relation))
			continue;
		index_plan_init(&build.plan);
		progress_notice_start(&build.notice);
		loop_run(&loop);
	}
}
