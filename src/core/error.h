/*
 * error.h
 *		Errors that are caught: which of them pass, and hints for those
 *		raised again.
 */
#ifndef TANDEM_ERROR_H
#define TANDEM_ERROR_H

#include "core/compat.h"

/*
 * It tells of other transactions, and passes with them: a lock that was not to
 * be had, a deadlock, a failure to serialize.
 */
extern bool error_passes_with_others(const ErrorData *error);

/*
 * It passes without anybody doing anything: as above, or no worker was free, one
 * was terminated, or the object was in use.
 */
extern bool error_passes_by_itself(const ErrorData *error);

/* Somebody ended the statement, the session or the server. */
extern bool error_is_intervention(const ErrorData *error);

/* It tells of the row at work, rather than of the state of the server. */
extern bool error_is_of_row(const ErrorData *error);

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

#endif							/* TANDEM_ERROR_H */
