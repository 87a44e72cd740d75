/*
 * guard_own.h
 *		DDL on the extension's own schema.
 */
#ifndef TANDEM_GUARD_OWN_H
#define TANDEM_GUARD_OWN_H

#include "commands/event_trigger.h"

/*
 * Refuses a command that has renamed schema tandem, renamed or moved an object
 * in it, moved or created one in it, or removed one from the extension.  Called for
 * each DDL command outside of the extension's own scripts; reads no catalog unless
 * the command names the schema or the extension, or creates something and the user
 * may do so there.
 */
extern void guard_own_check(const EventTriggerData *data);

#endif							/* TANDEM_GUARD_OWN_H */
