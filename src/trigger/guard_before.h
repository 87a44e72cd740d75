/*
 * guard_before.h
 *		DDL that is refused before it begins.
 */
#ifndef TANDEM_GUARD_BEFORE_H
#define TANDEM_GUARD_BEFORE_H

#include "commands/event_trigger.h"

/*
 * For ddl_command_start.  Refuses what the server would refuse with the hint to use
 * CASCADE, or would do with it: DROP EXTENSION while a migration is open on a table that
 * is there, and ALTER TABLE ... DROP COLUMN of a column that a trigger of ours keeps in
 * sync, by the table's owner.  Whatever else is wrong with the command the server says.
 * Takes no lock on the table.
 */
extern void guard_check_before(const EventTriggerData *data);

#endif							/* TANDEM_GUARD_BEFORE_H */
