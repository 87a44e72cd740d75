/*
 * throttle.c
 *		Limits the speed of a fill.
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"
#include "utils/memutils.h"

#include "core/clock.h"
#include "core/query.h"
#include "core/settings.h"
#include "fill/throttle.h"
#include "fill/throttle_causes.h"

/*-------------------------------------------------------------------------
 * The size of the next batch.
 *
 * Batches grow slowly, since the next blocks may take longer, and shrink at
 * once, since a session may be waiting for a locked row.
 *-------------------------------------------------------------------------
 */

#define FIRST_BLOCKS 16
#define MOST_BLOCKS 8192
#define GROWTH 1.2
#define WEIGHT_OF_LAST 0.3

void
pacing_start(Pacing *pacing, int blocks)
{
	pacing->ms_per_block = 0;
	pacing->blocks = blocks > 0 ? Min(blocks, MOST_BLOCKS) : FIRST_BLOCKS;
}

void
pacing_learn(Pacing *pacing, int blocks, double ms, int target_ms)
{
	double		last = ms / Max(blocks, 1);
	double		fitting;

	pacing->ms_per_block = pacing->ms_per_block == 0 ? last
		: WEIGHT_OF_LAST * last + (1 - WEIGHT_OF_LAST) * pacing->ms_per_block;
	fitting = target_ms / Max(pacing->ms_per_block, 0.0001);
	fitting = Min(fitting, Max(pacing->blocks * GROWTH, pacing->blocks + 1));
	pacing->blocks = (int) Max(1, Min(fitting, MOST_BLOCKS));
}

void
pacing_shrink(Pacing *pacing)
{
	pacing->blocks = Max(pacing->blocks / 4, 1);
}

/*-------------------------------------------------------------------------
 * The causes for which a fill waits between two batches.
 *
 * Each cause is a function that returns a reason or NULL.  Its answer is kept
 * until it is due to be asked again.  A call in between only reads the clock,
 * and a hold ends soon after its cause has ended.
 *-------------------------------------------------------------------------
 */

#define SHORTEST_WAIT_MS 10
#define LONGEST_WAIT_MS 1000

/* clients seen active count as active for this long */
#define LOAD_LASTS_S 1.0

/* while clients are active batches are short, so that no queue builds up */
#define LOAD_BATCH_MS 2

typedef char *(*ReasonFunction) (Throttle *throttle, double now, long *wait_ms);

typedef struct Cause
{
	ReasonFunction reason;
	long		ask_again_ms;	/* after it gave no reason; 0 for every batch */
	long		wait_ms;		/* after it gave a reason, unless it sets
								 * another */
} Cause;

static char *rows_reason(Throttle *throttle, double now, long *wait_ms);
static char *load_reason(Throttle *throttle, double now, long *wait_ms);
static char *wal_reason(Throttle *throttle, double now, long *wait_ms);
static char *lag_reason(Throttle *throttle, double now, long *wait_ms);
static char *autovacuum_reason(Throttle *throttle, double now, long *wait_ms);
static char *user_reason(Throttle *throttle, double now, long *wait_ms);

static const Cause causes[] = {
	{rows_reason, 0, SHORTEST_WAIT_MS},
	{load_reason, 0, SHORTEST_WAIT_MS},
	{wal_reason, 0, 100},
	{lag_reason, 1000, 250},
	{autovacuum_reason, 1000, 250},
	{user_reason, 1000, 1000},
};

typedef struct Answer
{
	double		until;
	char	   *reason;			/* in the throttle's context, or NULL */
} Answer;

struct Throttle
{
	const Migration *migration;
	const RunControl *control;	/* valid during throttle_reason */
	Oid			relid;
	int			workers;
	int			runner_pid;		/* session that runs the migration; not
								 * counted as load */
	double		batch_ms;		/* of the last batch; 0 once it was paused for */
	double		load_seen_at;
	MemoryContext context;		/* memory context of this struct */
	MemoryContext scratch;		/* reset after each question: a hold may last
								 * for days */
	Answer		answers[lengthof(causes)];
};

/*
 * Number of rows that may be worked on now; negative after a batch exceeded
 * it.  It belongs to the process, not the table: otherwise each of a thousand
 * small tables would get a first batch for free.
 */
static double row_credit = 0;
static double row_credit_at = 0;

static double
clock_seconds(void)
{
	return clock_now() / (double) USECS_PER_SEC;
}

/* At most one second's worth of rows accrues. */
static void
accrue_rows(double rate, double now)
{
	if (row_credit_at > 0)
		row_credit = Min(row_credit + (now - row_credit_at) * rate, rate);
	row_credit_at = now;
}

static char *
rows_reason(Throttle *throttle, double now, long *wait_ms)
{
	double		rate = (double) setting_max_rows_per_second / throttle->workers;

	if (setting_max_rows_per_second == 0)
	{
		row_credit = 0;
		row_credit_at = 0;
		return NULL;
	}
	accrue_rows(rate, now);
	if (row_credit >= 0)
		return NULL;
	/* no longer, in case the limit is lifted meanwhile */
	*wait_ms = (long) Max(Min(-row_credit / rate * 1000 + 1, LONGEST_WAIT_MS),
						  SHORTEST_WAIT_MS);
	return settings_show("tandem.max_rows_per_second");
}

bool
throttle_sees_load(const Throttle *throttle)
{
	return setting_nice_ratio > 0 && throttle->load_seen_at > 0 &&
		clock_seconds() - throttle->load_seen_at <= LOAD_LASTS_S;
}

char *
throttle_rest(const Throttle *throttle)
{
	if (!throttle_sees_load(throttle))
		return NULL;
	return psprintf("clients are at work: %s",
					settings_show("tandem.nice_ratio"));
}

int
throttle_batch_target(const Throttle *throttle)
{
	return throttle_sees_load(throttle)
		? Min(setting_batch_target, LOAD_BATCH_MS) : setting_batch_target;
}

/* Asked once after each batch. */
static char *
load_reason(Throttle *throttle, double now, long *wait_ms)
{
	double		batch_ms = throttle->batch_ms;

	throttle->batch_ms = 0;
	if (setting_nice_ratio == 0 || batch_ms == 0)
		return NULL;
	if (client_load_seen(throttle->runner_pid))
		throttle->load_seen_at = now;
	*wait_ms = (long) Max(batch_ms * setting_nice_ratio, 1);
	return throttle_rest(throttle);
}

static char *
wal_reason(Throttle *throttle, double now, long *wait_ms)
{
	return wal_rate_reason(now);
}

static char *
lag_reason(Throttle *throttle, double now, long *wait_ms)
{
	return replication_lag_reason(now);
}

static char *
user_reason(Throttle *throttle, double now, long *wait_ms)
{
	return hold_function_reason(throttle->migration, throttle->control,
								throttle->relid);
}

/*
 * An autovacuum worker that waits for the table is there to prevent
 * wraparound; others skip a table that they cannot lock.  LATERAL: list the
 * locks only if there is a worker.
 */
static char *
autovacuum_reason(Throttle *throttle, double now, long *wait_ms)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, throttle->relid);
	return query_end_text(&query, query_run(&query,
											"SELECT description FROM tandem._autovacuums($1) LIMIT 1"));
}

Throttle *
throttle_create(const Migration *migration, Oid relid, int workers,
				int runner_pid)
{
	Throttle   *throttle = palloc0(sizeof(Throttle));

	throttle->migration = migration;
	throttle->relid = relid;
	throttle->workers = Max(workers, 1);
	throttle->runner_pid = runner_pid;
	throttle->context = CurrentMemoryContext;
	throttle->scratch = AllocSetContextCreate(CurrentMemoryContext,
											  "tandem throttle",
											  ALLOCSET_SMALL_SIZES);
	return throttle;
}

void
throttle_learn(Throttle *throttle, int64 rows, double ms)
{
	/*
	 * do not look at the limit: the setting may have changed during the batch
	 */
	row_credit -= rows;
	throttle->batch_ms = ms;
	wal_rate_batch_ends();
}

/* Asks a cause, unless its last answer is still valid. */
static Answer *
ask_throttle_cause(Throttle *throttle, int i, double now)
{
	Answer	   *answer = &throttle->answers[i];
	long		wait_ms = causes[i].wait_ms;
	MemoryContext caller;
	char	   *reason;

	if (now < answer->until)
		return answer;
	caller = MemoryContextSwitchTo(throttle->scratch);
	reason = causes[i].reason(throttle, now, &wait_ms);
	MemoryContextSwitchTo(caller);
	if (answer->reason)
		pfree(answer->reason);
	answer->reason = reason ? MemoryContextStrdup(throttle->context, reason) : NULL;
	answer->until = now + (reason ? wait_ms : causes[i].ask_again_ms) / 1000.0;
	MemoryContextReset(throttle->scratch);
	return answer;
}

char *
throttle_reason(Throttle *throttle, const RunControl *control, long *wait_ms)
{
	double		now = clock_seconds();

	throttle->control = control;
	replication_lag_sample(now);
	for (int i = 0; i < (int) lengthof(causes); i++)
	{
		Answer	   *answer = ask_throttle_cause(throttle, i, now);

		if (answer->reason == NULL)
			continue;
		/* round up: rounding down would re-check immediately */
		*wait_ms = Max((long) ceil((answer->until - now) * 1000), 1);
		return pstrdup(answer->reason);
	}
	wal_rate_batch_starts(now);
	return NULL;
}
