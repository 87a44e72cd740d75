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
 * The same, but rolled back in any case, so that only what work has told its
 * caller is left.
 */
extern ErrorData *subtransaction_probe(void (*work) (void *), void *arg);

#endif							/* TANDEM_SUBTRANSACTION_H */
