/*
 * guard_own.h
 *		DDL on the extension's own schema that would leave it unusable.
 */
#ifndef TANDEM_GUARD_OWN_H
#define TANDEM_GUARD_OWN_H

#include "commands/event_trigger.h"

/*
 * Refuses a command that has renamed schema tandem, renamed or moved something
 * in it, or taken something out of the extension.  For each DDL command outside
 * of the extension's own scripts; looks at no catalog unless the command names
 * the schema or the extension.
 */
extern void guard_own_check(const EventTriggerData *data);

#endif							/* TANDEM_GUARD_OWN_H */
