/*
 * own_schema.h
 *		Refuses DDL on the extension's own schema that would make it unusable.
 */
#ifndef TANDEM_OWN_SCHEMA_H
#define TANDEM_OWN_SCHEMA_H

#include "commands/event_trigger.h"

/*
 * Refuses a command that has renamed schema tandem, renamed or moved an object
 * in it, moved one into it, or removed one from the extension.  Called for each
 * DDL command outside of the extension's own scripts; reads no catalog unless the
 * command names the schema or the extension.
 */
extern void own_schema_check(const EventTriggerData *data);

#endif							/* TANDEM_OWN_SCHEMA_H */
