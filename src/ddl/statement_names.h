/*
 * statement_names.h
 *		The tables and columns that a DDL statement of a user names.
 */
#ifndef TANDEM_STATEMENT_NAMES_H
#define TANDEM_STATEMENT_NAMES_H

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* A relation that a statement names, and that is to be there. */
typedef struct NamedTable
{
	RangeVar   *name;
	bool		optional;		/* it may be missing (IF EXISTS), or be one
								 * that the server has named */
	List	   *columns;		/* of char *: names that can only be of
								 * columns of it */
} NamedTable;

typedef struct StatementNames
{
	List	   *tables;			/* of NamedTable * */
	List	   *columns;		/* of char *: names that may be of columns of
								 * any of them */
	List	   *made;			/* of char *: of relations, columns and
								 * constraints that it creates or renames */
	List	   *queries;		/* of char *: of those in WITH; no tables */
} StatementNames;

/*
 * Returns the names in a statement that given_statement_check takes, as far as they
 * can be told: not those in the bodies of functions and in the actions of rules.
 * Errors: 42601, a name of a table or column has too many parts, or too few.
 */
extern StatementNames statement_names(const char *text);

/* Returns those that are, or may be, of columns. */
extern List *statement_columns(const char *text);

#endif							/* TANDEM_STATEMENT_NAMES_H */
