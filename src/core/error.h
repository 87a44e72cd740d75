/*
 * error.h
 *		Classifies caught errors, and adds hints when they are thrown again.
 */
#ifndef TANDEM_ERROR_H
#define TANDEM_ERROR_H

#include "core/compat.h"

/*
 * SQLSTATEs of our own, by which applications can tell the cases apart.
 */
#define ERRCODE_RELEASE_NOT_SERVED MAKE_SQLSTATE('5', '5', 'T', '0', '1')
#define ERRCODE_RELEASE_READ_ONLY MAKE_SQLSTATE('5', '5', 'T', '0', '2')
#define ERRCODE_RELEASE_UNDECLARED MAKE_SQLSTATE('5', '5', 'T', '0', '3')

/*
 * Was the error caused by other transactions, so that a retry may succeed?
 * These are lock timeouts, deadlocks and serialization failures.
 */
extern bool error_passes_with_others(const ErrorData *error);

/*
 * Can the error go away by itself?  These are the errors above, and: no worker
 * was free, a worker was terminated, the object was in use.
 */
extern bool error_passes_by_itself(const ErrorData *error);

/* Was the statement, the session or the server ended by a user? */
extern bool error_is_intervention(const ErrorData *error);

/* Does the error depend on the row rather than on the state of the server? */
extern bool error_is_of_row(const ErrorData *error);

/* Is it the code of an error that says that a type cannot hold a value? */
extern bool error_code_is_unfit_value(int code);

/*
 * Call in PG_CATCH.  Throws the error again, with this hint added if the error
 * is a mistake in what the user wrote and has no hint.
 */
COMPAT_NORETURN extern void rethrow_with_hint(MemoryContext context,
											  const char *hint);

/* The same, with another hint if a privilege is missing. */
COMPAT_NORETURN extern void rethrow_with_hints(MemoryContext context,
											   const char *hint,
											   const char *privilege_hint);

/*
 * The same, with this hint added if the error has none, or, if it replaces, in any case;
 * errors that others have caused, or a user who has ended the statement, stay as they are.
 */
COMPAT_NORETURN extern void rethrow_explained(MemoryContext context, bool replaces,
											  const char *hint);

/*
 * Call in an error context callback: marks the error position as one in text,
 * not in the statement that the user sent.
 */
extern void error_position_in(const char *text);

#endif							/* TANDEM_ERROR_H */
