/*
 * guard.h
 *		DDL that would break a migration.
 */
#ifndef TANDEM_GUARD_H
#define TANDEM_GUARD_H

#include "commands/event_trigger.h"
#include "tcop/cmdtag.h"

#include "trigger/ddl_event.h"

/*
 * An error: the command would break a migration of the table.  problem says
 * how, as a clause, and is shown to whoever issued the command.  Only a WARNING
 * where the command does not concern the table itself, and whoever issued it
 * can neither end the migration nor has made the owner of the table rely on the
 * object.  granted: its owner has, by a grant to more than PUBLIC.
 */
extern void guard_refuse_or_warn(CommandTag tag, const char *migration,
								 Oid relid, const char *problem, bool granted);

#endif							/* TANDEM_GUARD_H */
