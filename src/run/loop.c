/*
 * loop.c
 *		The loop of a run: waits until the next piece may start, and runs
 *		it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "run/loop.h"
#include "run/process.h"

/*-------------------------------------------------------------------------
 * Which sessions a process waits for.
 *
 * CREATE INDEX CONCURRENTLY waits for the virtual transaction ids of other
 * sessions, one after the other, and for the xids of prepared transactions.
 *-------------------------------------------------------------------------
 */

static void
append_blocker(StringInfo text, char *blocker)
{
	appendStringInfo(text, "%s%s", text->len ? ", " : "", blocker);
}

char *
blockers_of(int pid)
{
	TandemQuery query;
	StringInfoData text;
	List	   *holders;
	List	   *prepared;
	ListCell   *lc;

	query_begin(&query);
	query_int(&query, pid);
	holders = query_oids(&query,
						 "SELECT DISTINCT b::oid FROM unnest(pg_blocking_pids($1)) b WHERE b > 0");
	query_int(&query, pid);
	prepared = query_oids(&query,
						  "SELECT transaction::text::oid FROM tandem._prepared_blockers WHERE pid = $1");
	query_end(&query);
	initStringInfo(&text);
	foreach(lc, holders)
		append_blocker(&text, lock_session_mark((int) lfirst_oid(lc)));
	foreach(lc, prepared)
		append_blocker(&text,
					   lock_prepared_mark((TransactionId) lfirst_oid(lc)));
	return text.len > 0 ? text.data : NULL;
}

/*-------------------------------------------------------------------------
 * The loop in which a runner and its workers do everything that takes long.
 *
 * One turn:
 *
 *		look	stop, rights, pause, settings, throttle: waits, each time in a
 *				transaction of its own
 *		work	a piece, in a subtransaction, so that its error can be recorded
 *		commit	the piece, or only the record of its error
 *		after	what is done between two pieces, and another commit
 *		rest	with nothing held
 *
 * The last look takes the stop lock, which is held until the piece is
 * committed.  So a session that wants to stop the migration waits for one
 * piece at most.
 *-------------------------------------------------------------------------
 */

#define PAUSE_POLL_MS 200
#define RIGHTS_EVERY_MS 1000

/* recording the reason of a shorter wait would cost more than the wait */
#define SHORT_WAIT_MS 100

/*
 * Checks the rights when a process starts on a migration and once a second
 * from then on: a run may last for days, and a role may lose its rights.
 */
static void
check_rights_to_go_on(const Migration *migration)
{
	static int	checked_id = 0;
	static int64 checked_at = 0;

	if (checked_id == migration->id &&
		clock_ms_since(checked_at) < RIGHTS_EVERY_MS)
		return;
	migration_check_rights(migration, RIGHT_TO_ACT);
	checked_id = migration->id;
	checked_at = clock_now();
}

static char *
reason_piece_must_wait(Loop *loop, long *wait_ms)
{
	const Migration *migration = loop->migration;
	RunControl *control = run_control_get(migration->id);

	run_control_apply_settings(control);
	if (control->paused_by)
	{
		*wait_ms = PAUSE_POLL_MS;
		loop->paused = true;
		return psprintf("paused by %s: SELECT tandem.resume(%s);",
						quote_identifier(control->paused_by),
						quote_literal_cstr(migration->name));
	}
	return loop->throttle ? throttle_reason(loop->throttle, control, wait_ms)
		: NULL;
}

/* Status for monitoring need not be durable. */
void
loop_note_afterwards(int step_id, StepPhase phase, const char *doing,
					 int64 done, int64 total, const char *blockers)
{
	if (step_id == 0)
		return;
	settings_for_transaction("synchronous_commit", "off");
	step_set_afterwards(step_id, phase, doing, done, total, blockers);
}

static void
note_why_piece_waits(const Loop *loop, const char *reason)
{
	settings_for_transaction("synchronous_commit", "off");
	step_set_waiting(loop->step_id, reason, NULL);
}

/*
 * Looks once; returns true if the next piece may start.  The status in the
 * step is committed before, or other workers would wait for its row as long as
 * the piece takes.
 */
static bool
next_piece_may_go(Loop *loop, bool *said)
{
	long		wait_ms = PAUSE_POLL_MS;
	char	   *reason;

	process_reload_settings();
	migration_check_stop(loop->migration);
	check_rights_to_go_on(loop->migration);
	reason = reason_piece_must_wait(loop, &wait_ms);
	if (reason == NULL && !*said)
		return true;
	if (loop->step_id && (*said || wait_ms >= SHORT_WAIT_MS))
	{
		note_why_piece_waits(loop, reason);
		*said = (reason != NULL);
	}
	transaction_commit();
	if (reason == NULL)
		return false;
	loop->waited = true;
	interruptible_sleep(wait_ms);
	return false;
}

/* Frees the memory of each look: a pause may last for days. */
static void
wait_until_piece_may_go(Loop *loop)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look = AllocSetContextCreate(caller, "tandem look",
											   ALLOCSET_SMALL_SIZES);
	bool		said = false;

	loop->waited = loop->paused = false;
	MemoryContextSwitchTo(look);
	while (!next_piece_may_go(loop, &said))
	{
		MemoryContextReset(look);
		MemoryContextSwitchTo(look);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(look);
}

/* The piece tries a lock once, and the loop does the retries. */
static void
limit_lock_tries(Loop *loop)
{
	/* not earlier, since only now the migration's settings are in force */
	if (loop->lock_give_up == 0)
		loop->lock_give_up = clock_after_ms(setting_lock_retry_time * INT64CONST(1000));
	settings_for_transaction("tandem.lock_retry_time", "0");
}

static void
work_on_loop_piece(void *arg)
{
	Loop	   *loop = arg;

	if (loop->retries_locks)
		limit_lock_tries(loop);
	loop->work(loop);
}

/* The piece is rolled back, so the setting is that of the migration again. */
static void
explain_lock_failure(const Loop *loop, ErrorData *error, Oid relid)
{
	char	   *name = quoting_find_name(relid);

	error->message = psprintf("could not lock table \"%s\", or what belongs to it, within %d s",
							  name ? name : "(dropped)",
							  setting_lock_retry_time);
	error->detail = psprintf("Blocked by: %s.",
							 lock_describe_marks(lock_blockers_of(error)));
	error->hint = psprintf("Let those transactions end, or end them with pg_terminate_backend(pid) or ROLLBACK PREPARED, then run CALL tandem.migrate(%s) again; completed work is kept.",
						   quote_literal_cstr(loop->migration->name));
}

bool
loop_lock_passes(Loop *loop, ErrorData *error, Oid relid, StepPhase phase,
				 const char *doing)
{
	if (!error_passes_with_others(error))
		return false;
	if (clock_now() >= loop->lock_give_up)
	{
		explain_lock_failure(loop, error, relid);
		return false;
	}
	loop_note_afterwards(loop->step_id, phase, doing, 0, 0, lock_blockers_of(error));
	loop->rest_ms = lock_next_pause(&loop->lock_pause);
	return true;
}

static void
end_lock_tries(Loop *loop)
{
	if (loop->lock_pause > 0 && loop->step_id)
		step_set_waiting(loop->step_id, NULL, NULL);
	loop->lock_give_up = 0;
	loop->lock_pause = 0;
}

static void
run_loop_piece(Loop *loop)
{
	int64		started = clock_now();
	ErrorData  *error;
	bool		passes;

	loop->more = false;
	loop->rest_ms = 0;
	error = subtransaction_catch(work_on_loop_piece, loop, true);
	if (error == NULL)
		end_lock_tries(loop);
	passes = error && loop->passes && loop->passes(loop, error);
	transaction_commit();
	if (error && !passes)
		ReThrowError(error);
	loop->more |= passes;
	loop->ms = (clock_now() - started) / 1000.0;
}

static void
run_after_piece(Loop *loop)
{
	ErrorData  *error;

	if (loop->after == NULL)
		return;
	error = loop->after(loop);
	transaction_commit();
	if (error)
		ThrowErrorData(error);
}

void
loop_transactions(bool pieces)
{
	transaction_commit_lazily(pieces);
	extension_hold_in_transactions(pieces);
}

void
loop_run(Loop *loop)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext turn = AllocSetContextCreate(caller, "tandem turn",
											   ALLOCSET_DEFAULT_SIZES);

	do
	{
		MemoryContextSwitchTo(turn);
		wait_until_piece_may_go(loop);
		run_loop_piece(loop);
		run_after_piece(loop);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(turn);
		if (loop->more && loop->rest_ms > 0)
			interruptible_sleep(loop->rest_ms);
	} while (loop->more);
	MemoryContextDelete(turn);
}
