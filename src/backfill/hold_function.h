/*
 * hold_function.h
 *		Asks the user's own function whether a fill must hold.
 */
#ifndef TANDEM_HOLD_FUNCTION_H
#define TANDEM_HOLD_FUNCTION_H

#include "catalog/migration.h"
#include "catalog/run_control.h"

/*
 * The function of that name, as the current search_path finds it.  Errors: it
 * is not there, or is not a function without arguments that returns boolean or
 * text.
 */
extern Oid	hold_function_find(const char *name);

extern Oid	hold_function_owner(Oid funcid);

/*
 * Its name with its schema, quoted, palloc'd; wanted is what it was asked for
 * by.  Errors: it was dropped meanwhile.
 */
extern char *hold_function_name(Oid funcid, const char *wanted);

/*
 * Why tandem.hold_function, of the migration or else of the session, wants the
 * fill of a table to hold, as text for people, palloc'd; NULL: it does not, or
 * there is none.  It has the rights of who configured it, in a
 * security-restricted operation.  Errors: those of the function; that role is
 * gone, or may no longer act on the migration.
 */
extern char *hold_function_reason(const Migration *migration,
								  const RunControl *control, Oid relid);

#endif							/* TANDEM_HOLD_FUNCTION_H */
