/*
 * retry.c
 *		Tries the quarantined rows of a migration again.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "catalog/migration_lock.h"
#include "catalog/step.h"
#include "core/lock.h"
#include "core/transaction.h"
#include "fill/quarantine_retry.h"
#include "fill/throttle.h"
#include "row/quarantine.h"
#include "run/loop.h"
#include "run/retry.h"

typedef struct TableRetry
{
	QuarantineRetry *retry;
	double		pause;			/* of lock_next_pause */
	const char *blockers;		/* who was in the way of the last batch */
} TableRetry;

static void
note_retry(const Loop *loop)
{
	const TableRetry *at = loop->arg;
	int64		total;
	int64		done = quarantine_retry_blocks(at->retry, &total);

	/* before the first batch it is not known how many there are */
	loop_note_afterwards(loop->step_id, DOING_QUARANTINE, "trying rows in quarantine again",
						 done, Max(total, 1), at->blockers);
}

static void
retry_some_rows(Loop *loop)
{
	TableRetry *at = loop->arg;

	at->blockers = NULL;
	loop->more = quarantine_retry_batch(at->retry,
										throttle_batch_target(loop->throttle));
	if (loop->more)
		note_retry(loop);
}

static bool
retry_error_passes(Loop *loop, ErrorData *error)
{
	TableRetry *at = loop->arg;

	if (!quarantine_retry_passes(at->retry, error))
		return false;
	at->blockers = lock_blockers_of(error);
	note_retry(loop);
	loop->rest_ms = lock_next_pause(&at->pause);
	return true;
}

static ErrorData *
after_retry_batch(Loop *loop)
{
	TableRetry *at = loop->arg;

	throttle_learn(loop->throttle, quarantine_retry_rows(at->retry), loop->ms);
	if (!loop->more)
		loop_note_afterwards(loop->step_id, DOING_NOTHING, NULL, 0, 0, NULL);
	return NULL;
}

static void
run_table_retry(Migration *migration, Oid relation, const char *before)
{
	Step	   *step = step_find(step_list_of_tables(migration->id, STEP_BACKFILL,
													 list_make1_oid(relation)),
								 relation);
	TableRetry	at = {
		.retry = quarantine_retry_begin(migration, relation, before)
	};
	Loop		loop = {
		.migration = migration,
		.step_id = step ? step->id : 0,
		.throttle = throttle_create(migration, relation, 1,
									migration_runner_of_process()),
		.arg = &at,
		.work = retry_some_rows,
		.passes = retry_error_passes,
		.after = after_retry_batch,
	};

	/* so that a pause before the first batch is shown */
	note_retry(&loop);
	transaction_commit();
	loop_run(&loop);
}

void
retry_run(Migration *migration, const char *before)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *relids = quarantine_relations(migration->id, before);
	ListCell   *lc;

	foreach(lc, relids)
	{
		MemoryContext table = AllocSetContextCreate(caller, "tandem retry",
													ALLOCSET_DEFAULT_SIZES);

		MemoryContextSwitchTo(table);
		run_table_retry(migration, lfirst_oid(lc), before);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(table);
	}
	step_forget_afterwards(migration->id);
	transaction_commit();
}
