/*
 * guard.h
 *		Refuses or warns of DDL that would break a migration.
 */
#ifndef TANDEM_GUARD_H
#define TANDEM_GUARD_H

#include "commands/event_trigger.h"
#include "tcop/cmdtag.h"

#include "trigger/ddl_event.h"

/*
 * Throws the error that the command would break a migration of the table.
 * problem tells how, as a clause, and is shown to the role that runs the
 * command.  Gives only a WARNING if the command is not on the table itself and
 * the role can neither end the migration nor has given the table's owner
 * reason to rely on the object.  granted tells the latter: its owner has
 * granted it, not just to PUBLIC.
 */
extern void guard_refuse_or_warn(CommandTag tag, const char *migration,
								 Oid relid, const char *problem, bool granted);

#endif							/* TANDEM_GUARD_H */
