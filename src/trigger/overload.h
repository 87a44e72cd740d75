/*
 * overload.h
 *		Functions and operators that take the place of those that rules use.
 */
#ifndef TANDEM_OVERLOAD_H
#define TANDEM_OVERLOAD_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

#include "trigger/ddl_event.h"

/*
 * Returns the tables, as OIDs, whose sync trigger uses a function or operator
 * with the name and schema of one that the command has made or changed: the
 * text of a rule could mean the new one.
 */
extern List *overload_tables(const DdlEvent *event);

/*
 * Returns a function of a user that the expression calls, also by an operator,
 * and that is not among objects (a list of ObjectAddress *), described,
 * palloc'd.  NULL if there is none.
 */
extern char *overload_in_expression(Node *expression, List *objects);

#endif							/* TANDEM_OVERLOAD_H */
