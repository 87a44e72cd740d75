/*
 * expression_uses.h
 *		The objects that the value of an expression depends on.
 */
#ifndef TANDEM_EXPRESSION_USES_H
#define TANDEM_EXPRESSION_USES_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/*
 * Returns uses, a list of ObjectAddress *, with all objects added that the
 * parsed expression uses itself, also those of the server: functions,
 * operators, operator classes, the types and collations of all of its parts,
 * objects that constants of reg* types name, and the casts that it goes by.
 * What these use in turn is not added.  The table of the expression is there
 * only by its row type, where the whole row is read.  In the current memory
 * context.
 */
extern List *expression_uses(List *uses, Node *expression);

/*
 * The same for a column of this type and collation: it is compared by the
 * equality of its type.
 */
extern List *expression_uses_of_column(List *uses, Oid type, Oid collation);

/*
 * Returns the functions, also those of the server, that the expression calls
 * by name, operator or cast, as text and in the order in which they are met.
 * palloc'd; the same in a restored database.
 */
extern char *expression_calls(Node *expression);

/* Does it ask for the current user, who is the owner of the table? */
extern bool expression_asks_for_user(Node *expression);

/*
 * May a planned expression look names up when it is evaluated, or deparse them,
 * by a function of the server?  Then its value depends on the search_path.  Of
 * functions of users nothing is told.
 */
extern bool expression_looks_names_up(Node *expression);

#endif							/* TANDEM_EXPRESSION_USES_H */
