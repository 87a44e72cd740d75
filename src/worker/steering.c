/*
 * steering.c
 *		What a runner looks at between two batches.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/settings.h"
#include "core/transaction.h"
#include "worker/process.h"
#include "worker/steering.h"

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
reason_to_wait(const Migration *migration, Throttle *throttle, long *wait_ms)
{
	RunControl *control = run_control_get(migration->id);

	run_control_apply_settings(control);
	if (control->paused_by)
	{
		*wait_ms = PAUSE_POLL_MS;
		return psprintf("paused by %s: SELECT tandem.resume(%s);",
						quote_identifier(control->paused_by),
						quote_literal_cstr(migration->name));
	}
	return throttle ? throttle_reason(throttle, control, wait_ms) : NULL;
}

/*
 * One look; true: the next batch may go.  What is said in the step is committed
 * before that, or other workers would wait for the row as long as the batch
 * takes.
 */
static bool
may_go(const Migration *migration, int step_id, Throttle *throttle,
	   bool *waited, bool *said)
{
	long		wait_ms = PAUSE_POLL_MS;
	char	   *reason;

	process_reload_settings();
	migration_check_stop(migration);
	check_rights(migration);
	reason = reason_to_wait(migration, throttle, &wait_ms);
	if (reason == NULL && !*said)
		return true;
	if (*said || wait_ms >= SHORT_WAIT_MS)
	{
		/* a word for onlookers is not waited for */
		settings_for_transaction("synchronous_commit", "off");
		step_set_waiting(step_id, reason, NULL);
		*said = (reason != NULL);
	}
	transaction_commit();
	if (reason == NULL)
		return false;
	*waited = true;
	interruptible_sleep(wait_ms);
	return false;
}

bool
steering_wait(const Migration *migration, int step_id, Throttle *throttle)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look = AllocSetContextCreate(caller, "tandem steering",
											   ALLOCSET_SMALL_SIZES);
	bool		waited = false;
	bool		said = false;

	MemoryContextSwitchTo(look);
	while (!may_go(migration, step_id, throttle, &waited, &said))
	{
		/* a pause may last for days */
		MemoryContextReset(look);
		MemoryContextSwitchTo(look);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(look);
	return waited;
}
