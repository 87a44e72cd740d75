/*
 * guard.h
 *		Refuses DDL that would break a live sync.
 *
 * What the server refuses by itself, because the trigger depends on it, is
 * dropping or retyping a column or function of a rule.  The event triggers of
 * the extension add the rest: renames, and disabling or dropping the trigger.
 */
#ifndef TANDEM_GUARD_H
#define TANDEM_GUARD_H

/* While suspended the guard lets our own DDL pass.  Calls nest. */
extern void guard_suspend(void);
extern void guard_resume(void);

#endif							/* TANDEM_GUARD_H */
