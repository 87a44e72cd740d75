/*
 * recorded_calls.h
 *		Does a rule still call the functions that it did when it was stored?
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

#endif							/* TANDEM_RECORDED_CALLS_H */
