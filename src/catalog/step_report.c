/*
 * step_report.c
 *		What is told of the steps of migrations while they are run.
 */
#include "postgres.h"

#include "catalog/step.h"
#include "core/query.h"

/* as in the CHECK of tandem.step */
static const char *const phase_names[] = {
	[DOING_NOTHING] = NULL,
	[DOING_REPAIR] = "repairing trigger",
	[DOING_FILL] = "filling",
	[DOING_VACUUM] = "vacuuming",
	[DOING_MARK] = "marking filled",
	[DOING_VIEWS] = "replacing views",
	[DOING_QUARANTINE] = "retrying quarantine",
	[DOING_INDEX] = "building index",
	[DOING_INDEX_DROP] = "dropping index",
	[DOING_INDEX_ATTACH] = "attaching index",
	[DOING_WAIT] = "waiting for others",
	[DOING_CONSTRAINT] = "adding constraint",
	[DOING_VALIDATE] = "validating",
	[DOING_ANALYZE] = "analyzing",
	[DOING_VERIFY] = "verifying",
	[DOING_CHANGE] = "changing rows",
};

const char *
step_phase_name(StepPhase phase)
{
	return phase_names[phase];
}

StepPhase
step_work_phase(const Step *step)
{
	switch (step->kind)
	{
		case STEP_BACKFILL:
			return DOING_FILL;
		case STEP_AFTER_SWITCH:
			return DOING_CHANGE;
		default:
			return DOING_VERIFY;
	}
}

void
step_set_error(int step_id, const char *error, const char *hint)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, error);
	query_text(&query, hint);
	(void) query_run(&query,
					 "WITH failed AS (UPDATE tandem.step SET state = 'failed', phase = NULL, doing = NULL, changed_at = clock_timestamp() "
					 "WHERE id = $1 RETURNING id) "
					 "INSERT INTO tandem.step_report AS r (step, error, hint) "
					 "SELECT id, left($2, " QUERY_KEPT_TEXT "), left($3, " QUERY_KEPT_TEXT ") FROM failed "
					 "ON CONFLICT (step) DO UPDATE SET error = excluded.error, hint = excluded.hint, waiting = NULL, blockers = NULL");
	query_end(&query);
}

void
step_set_waiting(int step_id, const char *waiting, const char *blockers)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, waiting);
	query_text(&query, blockers);
	if (waiting || blockers)
		(void) query_run(&query,
						 "INSERT INTO tandem.step_report AS r (step, waiting, blockers) "
						 "SELECT id, $2, $3 FROM tandem.step WHERE id = $1 "
						 "ON CONFLICT (step) DO UPDATE SET waiting = $2, blockers = $3 "
						 "WHERE (r.waiting, r.blockers) IS DISTINCT FROM ($2, $3)");
	else
		(void) query_run(&query,
						 "UPDATE tandem.step_report SET waiting = $2, blockers = $3 "
						 "WHERE step = $1 AND (waiting IS NOT NULL OR blockers IS NOT NULL)");
	query_end(&query);
}

void
step_set_phase(int step_id, StepPhase phase)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, step_phase_name(phase));
	(void) query_run(&query,
					 "UPDATE tandem.step SET phase = $2, doing = NULL, changed_at = clock_timestamp() "
					 "WHERE id = $1 AND (phase IS DISTINCT FROM $2 OR doing IS NOT NULL)");
	query_end(&query);
}

static void
begin_doing_query(TandemQuery *query, int step_id, StepPhase phase,
				  const char *doing, int64 units_done, int64 units_total)
{
	query_begin(query);
	query_int(query, step_id);
	query_text(query, doing);
	query_bigint(query, units_done);
	query_bigint(query, units_total);
	query_text(query, step_phase_name(phase));
}

void
step_set_doing(int step_id, StepPhase phase, const char *doing,
			   int64 units_done, int64 units_total)
{
	TandemQuery query;

	begin_doing_query(&query, step_id, phase, doing, units_done, units_total);
	(void) query_run(&query,
					 "WITH doing AS (UPDATE tandem.step SET doing = $2, units_done = $3, units_total = $4, state = 'pending', phase = $5, "
					 "started_at = coalesce(started_at, clock_timestamp()), changed_at = clock_timestamp() "
					 "WHERE id = $1 AND (doing, units_done, units_total, state, phase) IS DISTINCT FROM ($2, $3, $4, 'pending', $5) RETURNING id) "
					 "UPDATE tandem.step_report r SET error = NULL, hint = NULL FROM doing d WHERE r.step = d.id AND r.error IS NOT NULL");
	query_end(&query);
}

void
step_set_afterwards(int step_id, StepPhase phase, const char *doing,
					int64 units_done, int64 units_total,
					const char *blockers)
{
	TandemQuery query;

	begin_doing_query(&query, step_id, phase, doing, units_done, units_total);
	(void) query_run(&query,
					 "UPDATE tandem.step SET doing = $2, units_done = $3, units_total = $4, phase = $5, changed_at = clock_timestamp() "
					 "WHERE id = $1 AND (doing, units_done, units_total, phase) IS DISTINCT FROM ($2, $3, $4, $5)");
	query_end(&query);
	step_set_waiting(step_id, NULL, blockers);
}

void
step_forget_afterwards(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "WITH done AS (SELECT id FROM tandem.step WHERE migration = $1 AND state = 'done'), "
					 "told AS (UPDATE tandem.step t SET phase = NULL, doing = NULL, units_done = 0, units_total = 0 FROM done d "
					 "WHERE t.id = d.id AND (t.doing IS NOT NULL OR t.phase IS NOT NULL)) "
					 "UPDATE tandem.step_report r SET waiting = NULL, blockers = NULL FROM done d "
					 "WHERE r.step = d.id AND (r.waiting, r.blockers) IS DISTINCT FROM (NULL, NULL)");
	query_end(&query);
}
