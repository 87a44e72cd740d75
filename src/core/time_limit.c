/*
 * time_limit.c
 *		Calls code of a user for a limited time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"

#include "core/time_limit.h"
#include "core/transaction.h"

static volatile sig_atomic_t limit_reached = false;

/* Timeout handler: ends what is running, as a cancel does. */
static void
cancel_at_limit(void)
{
	limit_reached = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* A process can register a limited number of timeouts. */
static TimeoutId
limit_timeout(void)
{
	static bool registered = false;
	static TimeoutId timeout;

	if (!registered)
		timeout = RegisterTimeout(USER_TIMEOUT, cancel_at_limit);
	registered = true;
	return timeout;
}

ErrorData *
rehearse_for_time(void (*work) (void *), void *arg, int64 ms, bool *time_is_up)
{
	TimeoutId	timeout = limit_timeout();
	ErrorData  *error;

	limit_reached = false;
	enable_timeout_after(timeout, (int) ms);
	error = subtransaction_catch(work, arg, false);
	disable_timeout(timeout, false);
	/* it may have come too late to end anything */
	if (limit_reached)
		QueryCancelPending = false;
	*time_is_up = limit_reached &&
		(error == NULL || error->sqlerrcode == ERRCODE_QUERY_CANCELED);
	return *time_is_up ? NULL : error;
}
