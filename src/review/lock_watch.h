/*
 * lock_watch.h
 *		Which lock a statement of somebody waits for, and an end to waits that are too long.
 */
#ifndef TANDEM_LOCK_WATCH_H
#define TANDEM_LOCK_WATCH_H

#include "storage/lock.h"

/*
 * Begins to look, a few times within limit_ms, for what this process waits for.  A wait
 * that is longer is cancelled, whatever the statement has set lock_timeout to.
 */
extern void lock_watch_begin(int limit_ms);
extern void lock_watch_end(void);

/* Has it cancelled a wait since it began? */
extern bool lock_watch_has_cancelled(void);

/* Says which lock was waited for last, and whose it is, palloc'd; NULL if none was seen. */
extern char *lock_watch_message(void);

#endif							/* TANDEM_LOCK_WATCH_H */
