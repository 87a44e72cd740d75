/*
 * loop.c
 *		The loop in which a runner and its workers do what takes long.
 *
 * One turn:
 *
 *		look	stop, rights, pause, settings, throttle: waits, each time in a
 *				transaction of its own
 *		work	a piece, in a subtransaction, so that its error can be noted
 *		commit	both together; or the note of the error alone
 *		after	what is done between two pieces, and another commit
 *		rest	with nothing held
 *
 * The stop lock is taken by the last look and held until the commit of the
 * piece: whoever wants the migration to stop waits for one piece at most.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/settings.h"
#include "core/subtransaction.h"
#include "core/transaction.h"
#include "worker/loop.h"
#include "worker/process.h"

#define PAUSE_POLL_MS 200
#define RIGHTS_EVERY_MS 1000

/* to say what a shorter wait is for would cost more than it does */
#define SHORT_WAIT_MS 100

/*
 * A run lasts for days, and a role may lose its rights meanwhile.  The first
 * look of a process is for its start.
 */
static void
check_rights(const Migration *migration)
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
reason_to_wait(const Loop *loop, long *wait_ms)
{
	const Migration *migration = loop->migration;
	RunControl *control = run_control_get(migration->id);

	run_control_apply_settings(control);
	if (control->paused_by)
	{
		*wait_ms = PAUSE_POLL_MS;
		return psprintf("paused by %s: SELECT tandem.resume(%s);",
						quote_identifier(control->paused_by),
						quote_literal_cstr(migration->name));
	}
	return loop->throttle ? throttle_reason(loop->throttle, control, wait_ms)
		: NULL;
}

/* What onlookers are told need not be durable. */
static void
say_why(const Loop *loop, const char *reason)
{
	settings_for_transaction("synchronous_commit", "off");
	step_set_waiting(loop->step_id, reason, NULL);
}

/*
 * One look; true: the next piece may go.  What is said in the step is committed
 * before that, or other workers would wait for the row as long as the piece
 * takes.
 */
static bool
may_go(Loop *loop, bool *said)
{
	long		wait_ms = PAUSE_POLL_MS;
	char	   *reason;

	process_reload_settings();
	migration_check_stop(loop->migration);
	check_rights(loop->migration);
	reason = reason_to_wait(loop, &wait_ms);
	if (reason == NULL && !*said)
		return true;
	if (loop->step_id && (*said || wait_ms >= SHORT_WAIT_MS))
	{
		say_why(loop, reason);
		*said = (reason != NULL);
	}
	transaction_commit();
	if (reason == NULL)
		return false;
	loop->waited = true;
	interruptible_sleep(wait_ms);
	return false;
}

/* What a look allocates goes with it: a pause may last for days. */
static void
look_until_may_go(Loop *loop)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look = AllocSetContextCreate(caller, "tandem look",
											   ALLOCSET_SMALL_SIZES);
	bool		said = false;

	loop->waited = false;
	MemoryContextSwitchTo(look);
	while (!may_go(loop, &said))
	{
		MemoryContextReset(look);
		MemoryContextSwitchTo(look);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(look);
}

static void
work_on_piece(void *arg)
{
	Loop	   *loop = arg;

	loop->work(loop);
}

static void
run_piece(Loop *loop)
{
	int64		started = clock_now();
	ErrorData  *error;
	bool		passes;

	loop->more = false;
	loop->rest_ms = 0;
	error = subtransaction_try(work_on_piece, loop);
	passes = error && loop->passes(loop, error);
	transaction_commit();
	if (error && !passes)
		ReThrowError(error);
	loop->more |= passes;
	loop->ms = (clock_now() - started) / 1000.0;
}

static void
run_after(Loop *loop)
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
loop_run(Loop *loop)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext turn = AllocSetContextCreate(caller, "tandem turn",
											   ALLOCSET_DEFAULT_SIZES);

	do
	{
		MemoryContextSwitchTo(turn);
		look_until_may_go(loop);
		run_piece(loop);
		run_after(loop);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(turn);
		if (loop->more && loop->rest_ms > 0)
			interruptible_sleep(loop->rest_ms);
	} while (loop->more);
	MemoryContextDelete(turn);
}
