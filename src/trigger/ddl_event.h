/*
 * ddl_event.h
 *		Collects what a DDL command has changed.
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
	List	   *objects;		/* changed objects: list of ObjectAddress * */
	List	   *tables;			/* OIDs of changed relations, and of tables of
								 * changed triggers */
} DdlEvent;

/*
 * Call in an event trigger on ddl_command_end.  Objects that are moved to
 * another schema along with others are included, and those named by a REVOKE;
 * dropped objects are not.  The result is in the current memory context.
 */
extern DdlEvent *ddl_event_read(const EventTriggerData *data);

/*
 * Can the command change the name, schema or owner of an existing object, or
 * revoke rights on it?
 */
extern bool ddl_event_takes_away(Node *parsetree);

/*
 * Returns the OIDs of relations whose trigger of this name was dropped; for
 * sql_drop.
 */
extern List *ddl_event_dropped_triggers(const char *name);

#endif							/* TANDEM_DDL_EVENT_H */
