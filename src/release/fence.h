/*
 * fence.h
 *		Refuses the statements of a session whose release is not served.
 */
#ifndef TANDEM_FENCE_H
#define TANDEM_FENCE_H

/*
 * Called from _PG_init.  Sets the hooks if the library is being preloaded.  If
 * it is loaded later, for example by a trigger, the fence would apply only to
 * some transactions of the session.  A session that preloads it declares its
 * release here.
 */
extern void fence_init(void);

/*
 * Call when the running transaction creates a migration of that release, or
 * registers it.  If it is the session's own, the transaction is its script,
 * and the fence lets it do everything, unless the release is retired.
 */
extern void fence_let_script_pass(int release);

#endif							/* TANDEM_FENCE_H */
