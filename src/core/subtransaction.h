/*
 * subtransaction.h
 *		Work whose error is returned instead of raised.
 */
#ifndef TANDEM_SUBTRANSACTION_H
#define TANDEM_SUBTRANSACTION_H

/*
 * Calls work(arg) in a subtransaction, which is committed, or rolled back when
 * it raises.  Returns the error, copied into the current memory context, or
 * NULL.
 */
extern ErrorData *subtransaction_try(void (*work) (void *), void *arg);

/*
 * The same, but always rolled back: nothing that work does lasts, no lock that
 * it takes either, only what it allocates.
 */
extern ErrorData *subtransaction_rehearse(void (*work) (void *), void *arg);

#endif							/* TANDEM_SUBTRANSACTION_H */
