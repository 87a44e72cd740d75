/*
 * error_class.h
 *		What kinds of errors there are: the one list of SQLSTATEs.
 */
#ifndef TANDEM_ERROR_CLASS_H
#define TANDEM_ERROR_CLASS_H

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

/* It tells of what the user wrote: a mistake in a statement or in its values. */
extern bool error_is_mistake(const ErrorData *error);

#endif							/* TANDEM_ERROR_CLASS_H */
