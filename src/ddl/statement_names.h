/*
 * statement_names.h
 *		The tables and columns that a DDL statement of a user names.
 */
#ifndef TANDEM_STATEMENT_NAMES_H
#define TANDEM_STATEMENT_NAMES_H

#include "nodes/pg_list.h"

typedef struct StatementNames
{
	List	   *relations;		/* of RangeVar *: that are to be there */
	List	   *columns;		/* of char *: of any of them */
} StatementNames;

/*
 * Returns the names in a statement that given_statement_check takes, as far as they
 * can be told: not those in the bodies of functions, nor those of what it creates.
 */
extern StatementNames statement_names(const char *text);

#endif							/* TANDEM_STATEMENT_NAMES_H */
