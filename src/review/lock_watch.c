/*
 * lock_watch.c
 *		Which lock a statement of somebody waits for, and an end to waits that are too long.
 *
 * When the server's error of a lock timeout can be caught it has forgotten the lock.  So
 * a timeout looks while the process waits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/lock.h"
#include "core/text.h"
#include "review/lock_watch.h"

/* looks within the limit, and after how many of the same wait it is too long */
#define LOOKS 4
#define LOOKS_TOO_LONG 6

static LOCKTAG seen_tag;
static volatile LOCKMODE seen_mode = NoLock;
static volatile int looks = 0;
static volatile sig_atomic_t cancelled = false;

/*
 * Timeout handler.  While the process sleeps in the queue of a lock, the lock stays where
 * it is.
 */
static void
look_at_wait(void)
{
	LOCK	   *lock = MyProc ? MyProc->waitLock : NULL;

	if (lock == NULL)
	{
		looks = 0;
		return;
	}
	if (looks > 0 && memcmp(&seen_tag, &lock->tag, sizeof(LOCKTAG)) != 0)
		looks = 0;
	seen_tag = lock->tag;
	seen_mode = MyProc->waitLockMode;
	if (++looks < LOOKS_TOO_LONG)
		return;
	cancelled = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static TimeoutId
watch_timeout(void)
{
	static bool registered = false;
	static TimeoutId timeout;

	if (!registered)
		timeout = RegisterTimeout(USER_TIMEOUT, look_at_wait);
	registered = true;
	return timeout;
}

void
lock_watch_begin(int limit_ms)
{
	int			every = Max(limit_ms / LOOKS, 1);

	seen_mode = NoLock;
	looks = 0;
	cancelled = false;
	enable_timeout_every(watch_timeout(), TimestampTzPlusMilliseconds(GetCurrentTimestamp(), every), every);
}

void
lock_watch_end(void)
{
	disable_timeout(watch_timeout(), false);
	/* it may have come too late to end anything */
	if (cancelled)
		QueryCancelPending = false;
}

bool
lock_watch_has_cancelled(void)
{
	return cancelled;
}

char *
lock_watch_message(void)
{
	LOCKTAG		tag = seen_tag;
	LOCKMODE	mode = seen_mode;
	char	   *what;

	if (mode == NoLock)
		return NULL;
	what = tag.locktag_type == LOCKTAG_RELATION ? psprintf("table %s", quoting_shown_name(tag.locktag_field2))
		: "a row, or what else another transaction has written";
	return psprintf("could not get %s on %s; blocked by: %s", GetLockmodeName(DEFAULT_LOCKMETHOD, mode), what,
					lock_describe_tag_holders(&tag, mode));
}
