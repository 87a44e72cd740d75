/*
 * time_limit.h
 *		Calls code of a user for a limited time.
 */
#ifndef TANDEM_TIME_LIMIT_H
#define TANDEM_TIME_LIMIT_H

/*
 * Calls work(arg) like subtransaction_rehearse, but cancels it after ms
 * milliseconds.  Returns its error, or NULL; *time_is_up tells whether it was
 * cancelled, and then there is no error.  A cancel by the user is an error, but
 * one within the last moment of that time may be taken for ours.
 */
extern ErrorData *rehearse_for_time(void (*work) (void *), void *arg, int64 ms,
									bool *time_is_up);

#endif							/* TANDEM_TIME_LIMIT_H */
