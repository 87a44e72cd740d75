/*
 * recorded_calls.h
 *		Does a stored text still call the functions that it did at first?
 */
#ifndef TANDEM_RECORDED_CALLS_H
#define TANDEM_RECORDED_CALLS_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/*
 * Sets *functions to the functions, as OIDs, that pg_depend has for a sync
 * trigger (see rule_objects_record): all that its rules call by name or by an
 * operator.  Returns false if they are not recorded: those of a trigger from a
 * dump may not be yet.  For a partition pass the trigger of the topmost table.
 */
extern bool recorded_calls(Oid trigger, List **functions);

/*
 * Returns a function of a user that the expression calls, also by an operator,
 * and that is not among functions, described, palloc'd.  NULL if there is none.
 */
extern char *recorded_calls_lack(Node *expression, List *functions);

/*
 * Returns the functions of users that the expression, or list of expressions,
 * calls by name or by an operator, as text: qualified and in a fixed order, so
 * that it is the same in all sessions and in a restored database.  palloc'd; ""
 * if there are none, also if expression is NULL.
 */
extern char *recorded_calls_text(Node *expression);

/*
 * Throws an error if calls is another text than recorded, for what is to be
 * built: "index" or "constraint", and its name.  recorded may be NULL for "".
 */
extern void recorded_calls_check(const char *kind, const char *name,
								 const char *recorded, const char *calls);

#endif							/* TANDEM_RECORDED_CALLS_H */
