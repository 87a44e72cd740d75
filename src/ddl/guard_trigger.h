/*
 * guard_trigger.h
 *		Commands that make, enable or disable triggers.
 */
#ifndef TANDEM_GUARD_TRIGGER_H
#define TANDEM_GUARD_TRIGGER_H

#include "ddl/ddl_event.h"

/*
 * After an ALTER TABLE of relid: refuses one that has put the sync trigger out
 * of force by its name, or the table OF a type.  One that means all triggers
 * leaves it in force: it is enabled again at once, with a NOTICE.
 */
extern void guard_trigger_check(Oid relid, const DdlEvent *event);

/*
 * Errors: the command has made a trigger of tandem.sync_row on a table whose
 * owner's rights the current user has not.
 */
extern void guard_trigger_check_maker(const DdlEvent *event);

#endif							/* TANDEM_GUARD_TRIGGER_H */
