/*
 * recorded_calls.h
 *		Does a stored text still call the functions that it did at first?
 */
#ifndef TANDEM_RECORDED_CALLS_H
#define TANDEM_RECORDED_CALLS_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/* OIDs of what the rules of a trigger call, and of types that they name. */
typedef struct RecordedCalls
{
	List	   *functions;
	List	   *types;
} RecordedCalls;

/*
 * Sets *calls to the functions and types that pg_depend has for a sync trigger
 * (see rule_objects_record): all that its rules call by name, by an operator or
 * by a cast.  Returns false if they are not recorded: those of a trigger from a
 * dump may not be yet.  For a partition pass the trigger of the topmost table.
 */
extern bool recorded_calls(Oid trigger, RecordedCalls *calls);

/* What an expression means that it did not when it was stored. */
typedef struct OtherCall
{
	char	   *what;			/* described */
	const char *remedy;			/* a hint */
} OtherCall;

/*
 * Does the expression call a function of a user, also by an operator or cast,
 * or make something into a type of a user, that is not among calls?  If so,
 * sets *other; palloc'd.
 */
extern bool recorded_calls_lack(Node *expression, const RecordedCalls *calls,
								OtherCall *other);

/*
 * Returns the functions of users that the expression, or list of expressions,
 * calls by name, operator or cast, and the types of users that it makes
 * something into, as text: qualified and in a fixed order, so that it is the
 * same in all sessions and in a restored database.  palloc'd; "" if there are
 * none, also if expression is NULL.
 */
extern char *recorded_calls_text(Node *expression);

/*
 * Throws an error if calls is another text than recorded, for what is to be
 * built: "index" or "constraint", and its name.  recorded may be NULL for "".
 */
extern void recorded_calls_check(const char *kind, const char *name,
								 const char *recorded, const char *calls);

#endif							/* TANDEM_RECORDED_CALLS_H */
