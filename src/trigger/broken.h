/*
 * broken.h
 *		Finds rules and steps whose text a DDL command has made invalid.
 */
#ifndef TANDEM_BROKEN_H
#define TANDEM_BROKEN_H

#include "nodes/pg_list.h"

#include "trigger/ddl_event.h"

/*
 * Refuses the command, or warns (see guard.h), if a rule or step of an open
 * migration depends on a name, right or shape that it has taken away.  Looks
 * only at those that use something the command has changed, and ignores what
 * was broken before the transaction.  Runs no user-defined code.
 */
extern void broken_rules_check(const DdlEvent *event);

/*
 * Does the same if the sync trigger of the table was dropped, by itself or
 * with an object on which it depends.
 */
extern void broken_rules_check_dropped(Oid relid, CommandTag tag);

/* Does the same for a command that may have taken rights from any role. */
extern void broken_rules_check_roles(const DdlEvent *event, List *roles);

#endif							/* TANDEM_BROKEN_H */
