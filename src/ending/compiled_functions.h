/*
 * compiled_functions.h
 *		Functions that sessions have compiled with the type that a column had.
 */
#ifndef TANDEM_COMPILED_FUNCTIONS_H
#define TANDEM_COMPILED_FUNCTIONS_H

#include "catalog/migration.h"

/*
 * Returns the functions that name a column which the migration changes, or are called by
 * a trigger of its table, as OIDs.
 */
extern List *compiled_functions(const Migration *migration);

/*
 * Has every session compile these again at its next call, once this transaction is
 * committed.  Errors: another session is replacing one (ERRCODE_LOCK_NOT_AVAILABLE).
 */
extern void compiled_functions_renew(List *functions);

#endif							/* TANDEM_COMPILED_FUNCTIONS_H */
