/*
 * broken.h
 *		Rules and steps whose texts mean nothing any more.
 */
#ifndef TANDEM_BROKEN_H
#define TANDEM_BROKEN_H

#include "nodes/pg_list.h"

#include "trigger/ddl_event.h"

/*
 * Refuses the command, or warns (see guard.h), if it has taken a name, a
 * right or a shape that a live rule or an open step relies on.  Looks at those
 * alone that use what the command has changed, and not at what was broken
 * before the transaction.  No code of a user is run.
 */
extern void broken_rules_check(const DdlEvent *event);

/*
 * The same where the sync trigger of the table has been dropped, with something
 * that it depends on or alone.
 */
extern void broken_rules_check_dropped(Oid relid, CommandTag tag);

/* The same for a command that may have taken rights from any role. */
extern void broken_rules_check_roles(const DdlEvent *event, List *roles);

#endif							/* TANDEM_BROKEN_H */
