/*
 * hint.h
 *		A hint for errors of the server, which has few.
 */
#ifndef TANDEM_HINT_H
#define TANDEM_HINT_H

#include "core/compat.h"

/*
 * For PG_CATCH: raises the error again, and with this hint when it tells of a
 * mistake in what the user wrote and has no hint of its own.
 */
COMPAT_NORETURN extern void rethrow_with_hint(MemoryContext context,
											  const char *hint);

/* The same with another hint where a right is missing. */
COMPAT_NORETURN extern void rethrow_with_hints(MemoryContext context,
											   const char *hint,
											   const char *privilege_hint);

/*
 * For an error context callback: the position of the error is one in text, not
 * in the statement that the user has sent.
 */
extern void error_position_in(const char *text);

#endif							/* TANDEM_HINT_H */
