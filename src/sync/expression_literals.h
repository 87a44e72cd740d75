/*
 * expression_literals.h
 *		Literals of an expression whose reading would run code of a user.
 */
#ifndef TANDEM_EXPRESSION_LITERALS_H
#define TANDEM_EXPRESSION_LITERALS_H

#include "nodes/nodes.h"

/*
 * Makes NULL of each such literal of a raw expression, in place: what is left
 * has the same names and types, and can be analyzed without running anything
 * but the server's own code.  Types are looked up by the current search_path
 * and user.
 */
extern void expression_hide_literals(Node *expression);

#endif							/* TANDEM_EXPRESSION_LITERALS_H */
