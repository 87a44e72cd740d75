/*
 * clock.h
 *		A monotonic clock for intervals.
 *
 * Use it for whatever is waited for or measured; the time of day is for
 * display.
 */
#ifndef TANDEM_CLOCK_H
#define TANDEM_CLOCK_H

#include "portability/instr_time.h"

/* No moment; clock_now never returns it. */
#define CLOCK_NEVER 0

/* Returns microseconds since some moment before the server started. */
static inline int64
clock_now(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}

/* Returns the milliseconds since then, rounded down. */
static inline int64
clock_ms_since(int64 then)
{
	return (clock_now() - then) / 1000;
}

/* Rounded up, so that a sleep of this length reaches the end. */
static inline int64
clock_ms_until(int64 end)
{
	return (end - clock_now() + 999) / 1000;
}

/* Returns the moment ms milliseconds from now. */
static inline int64
clock_after_ms(int64 ms)
{
	return clock_now() + ms * 1000;
}

#endif							/* TANDEM_CLOCK_H */
