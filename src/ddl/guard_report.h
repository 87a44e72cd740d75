/*
 * guard_report.h
 *		DDL that would break a migration: refused, or said.
 */
#ifndef TANDEM_GUARD_REPORT_H
#define TANDEM_GUARD_REPORT_H

#include "tcop/cmdtag.h"

/*
 * An error: the command would break a migration of the table.  problem says
 * how, as a clause, and is shown to whoever issued the command.
 */
extern void guard_refuse(CommandTag tag, const char *migration, Oid relid,
						 const char *problem);

/*
 * The same, but only a WARNING where the command does not concern the table
 * itself, and whoever issued it can neither end the migration nor has made the
 * owner of the table rely on the object.  granted: its owner has, by a grant to
 * more than PUBLIC.
 */
extern void guard_refuse_or_warn(CommandTag tag, const char *migration,
								 Oid relid, const char *problem, bool granted);

#endif							/* TANDEM_GUARD_REPORT_H */
