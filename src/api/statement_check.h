/*
 * statement_check.h
 *		Statements that contract runs: do they name tables and columns as these are
 *		called then?
 */
#ifndef TANDEM_STATEMENT_CHECK_H
#define TANDEM_STATEMENT_CHECK_H

#include "catalog/migration.h"

/*
 * Errors: the statement names a table or column that has another name at contract, or
 * that is not there, and that no statement called for before makes.
 */
extern void statement_check_names(const Migration *migration, const char *statement);

/* Looks at the names of all statements of the migration, after it has got a rename. */
extern void statements_check_names(const Migration *migration);

#endif							/* TANDEM_STATEMENT_CHECK_H */
