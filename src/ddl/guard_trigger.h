/*
 * guard_trigger.h
 *		Commands that enable or disable triggers.
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

#endif							/* TANDEM_GUARD_TRIGGER_H */
