/*
 * ddl_event.h
 *		What a DDL command has changed.
 */
#ifndef TANDEM_DDL_EVENT_H
#define TANDEM_DDL_EVENT_H

#include "commands/event_trigger.h"
#include "nodes/pg_list.h"
#include "tcop/cmdtag.h"

typedef struct DdlEvent
{
	CommandTag	tag;
	Node	   *parsetree;
	List	   *objects;		/* changed, of struct ObjectAddress */
	List	   *tables;			/* OIDs of those that are relations, or whose
								 * trigger is among them */
} DdlEvent;

/*
 * Reads it in a trigger on ddl_command_end.  What moves to another schema along
 * with an object is among the objects; of a REVOKE those that it names; what a
 * command has dropped is not.
 */
extern DdlEvent *ddl_event_read(const EventTriggerData *data);

/*
 * Whether a command can give an object that was there another name, schema or
 * owner, or take rights on it away.
 */
extern bool ddl_event_takes_away(Node *parsetree);

/* The relations whose trigger of this name was dropped: OIDs, in sql_drop. */
extern List *ddl_event_dropped_triggers(const char *name);

#endif							/* TANDEM_DDL_EVENT_H */
