/*
 * steering.c
 *		What a runner looks at between two batches.
 */
#include "postgres.h"

#include "catalog/run_control.h"
#include "catalog/step.h"
#include "core/lock.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "worker/process.h"
#include "worker/steering.h"

#define PAUSE_POLL_MS 200

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
	return throttle ? throttle_reason(throttle, wait_ms) : NULL;
}

bool
steering_wait(const Migration *migration, int step_id, Throttle *throttle)
{
	bool		waited = false;

	for (;;)
	{
		long		wait_ms = PAUSE_POLL_MS;
		char	   *reason;

		process_reload_settings();
		migration_check_stop(migration);
		reason = reason_to_wait(migration, throttle, &wait_ms);
		if (reason == NULL)
			break;
		step_set_waiting(step_id, reason, NULL);
		pfree(reason);
		SPI_commit();
		interruptible_sleep(wait_ms);
		waited = true;
	}
	if (waited)
		step_set_waiting(step_id, NULL, NULL);
	return waited;
}
