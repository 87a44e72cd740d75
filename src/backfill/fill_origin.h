/*
 * fill_origin.h
 *		Which subscribers a fill is sent to.
 */
#ifndef TANDEM_FILL_ORIGIN_H
#define TANDEM_FILL_ORIGIN_H

#include "core/compat.h"
#include "sync/row_state.h"

/*
 * Whether the rows that a fill of the table writes are sent to every
 * subscriber; false: not to those with origin = none, which fill their own.
 * By tandem.send_fill, and by the subscriptions as they are now.
 */
extern bool fill_is_sent(Oid relid);

/*
 * What is written between the two is marked as not to be sent.  Returns what
 * fill_origin_leave restores; the caller sees to that also when an error is
 * raised in between, since no end of a transaction does.
 */
extern uint16 fill_origin_enter(void);
extern void fill_origin_leave(uint16 before);

/*
 * Errors: up of a column of rel is volatile, and a fill that is not sent would
 * give each server a value of its own.
 */
COMPAT_NORETURN extern void fill_refuse_volatile(Relation rel,
												 const char *column);

/*
 * The same, for a fill that is not sent, if the loaded row is unfilled for a
 * rule whose up is volatile, or has one as the rule with id forced.
 */
extern void fill_check_repeatable(const RowState *state, int forced);

#endif							/* TANDEM_FILL_ORIGIN_H */
