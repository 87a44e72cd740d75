/*
 * named_in.h
 *		Which names stand in a text that will be parsed again.
 */
#ifndef TANDEM_NAMED_IN_H
#define TANDEM_NAMED_IN_H

#include "nodes/pg_list.h"

/*
 * Whether the name stands in the text as a whole, quoted as SQL would where it
 * must be: anywhere, so a yes may be a mistake, a no is none.
 */
extern bool named_in(const char *text, const char *name);

/* The names in an expression; schemas are there where the text has them. */
typedef struct NamesInExpression
{
	List	   *objects;		/* of functions, operators, types, collations,
								 * and in literals of reg* types: Lists of
								 * String nodes */
	List	   *columns;		/* C strings */
	List	   *schemas;		/* in literals of type regnamespace: C strings */
} NamesInExpression;

/*
 * Only the grammar is asked, nothing is looked up.  Errors where the text is no
 * expression.
 */
extern void names_in_expression(const char *text, NamesInExpression *names);

#endif							/* TANDEM_NAMED_IN_H */
