/*
 * fence.h
 *		Refuses the statements of a session whose release is not served.
 */
#ifndef TANDEM_FENCE_H
#define TANDEM_FENCE_H

/* SQLSTATEs, for applications to tell one from the other. */
#define ERRCODE_RELEASE_NOT_SERVED MAKE_SQLSTATE('5', '5', 'T', '0', '1')
#define ERRCODE_RELEASE_READ_ONLY MAKE_SQLSTATE('5', '5', 'T', '0', '2')
#define ERRCODE_RELEASE_UNDECLARED MAKE_SQLSTATE('5', '5', 'T', '0', '3')

/*
 * For _PG_init: sets the hooks where the library is being preloaded.  Loaded
 * later, by a trigger say, it would fence some transactions of a session and
 * not others.  A session for which it is loaded declares its release here.
 */
extern void fence_init(void);

/*
 * The running transaction begins a migration of that release, or registers it:
 * where it is the session's own, the transaction is its script, which the fence
 * lets do what it does, unless the release is retired.
 */
extern void fence_let_script_pass(int release);

#endif							/* TANDEM_FENCE_H */
