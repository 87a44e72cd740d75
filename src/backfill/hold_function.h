/*
 * hold_function.h
 *		Asks the user's own function whether a fill must hold.
 */
#ifndef TANDEM_HOLD_FUNCTION_H
#define TANDEM_HOLD_FUNCTION_H

/*
 * Calls the function that tandem.hold_function names, if any, as the owner
 * of the table, security-restricted, and under the session's search_path.  Returns the reason to hold,
 * palloc'd, or NULL.  Errors: there is no such function, it returns neither
 * boolean nor text, and whatever it raises; each names the setting.
 */
extern char *hold_function_reason(Oid relid);

#endif							/* TANDEM_HOLD_FUNCTION_H */
