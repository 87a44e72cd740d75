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

/*
 * The names of functions, operators, types and collations in an expression, and
 * of columns, as Lists of String nodes; a column is a List of one.  Schemas are
 * there where the text has them.  Only the grammar is asked, nothing is looked
 * up.  Errors where the text is no expression.
 */
typedef struct NamesInExpression
{
	List	   *objects;
	List	   *columns;
} NamesInExpression;

extern void names_in_expression(const char *text, NamesInExpression *names);

#endif							/* TANDEM_NAMED_IN_H */
