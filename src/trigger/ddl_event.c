/*
 * ddl_event.c
 *		Collects what a DDL command has changed.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "tcop/deparse_utility.h"

#include "core/query.h"
#include "trigger/ddl_event.h"

/*
 * Returns the catalog of an object type with grants that a rule may need, else
 * InvalidOid.
 */
static Oid
class_of_grant(ObjectType type)
{
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
		case OBJECT_COLUMN:
			return RelationRelationId;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			return ProcedureRelationId;
		case OBJECT_SCHEMA:
			return NamespaceRelationId;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			return TypeRelationId;
		default:
			return InvalidOid;
	}
}

static void
add_event_object(DdlEvent *event, Oid class_oid, Oid object_oid, int32 column)
{
	ObjectAddress *object;

	if (!OidIsValid(class_oid) || !OidIsValid(object_oid))
		return;
	object = palloc(sizeof(ObjectAddress));
	ObjectAddressSubSet(*object, class_oid, object_oid, column);
	event->objects = lappend(event->objects, object);
	if (class_oid == RelationRelationId)
		event->tables = list_append_unique_oid(event->tables, object_oid);
}

static void
add_granted_objects(DdlEvent *event, const InternalGrant *grant)
{
	ListCell   *lc;

	if (grant->is_grant)
		return;
	foreach(lc, grant->objects)
		add_event_object(event, class_of_grant(grant->objtype),
						 lfirst_oid(lc), 0);
}

/* The server passes the command that it has collected as a pointer. */
static void
add_collected_command(DdlEvent *event, const CollectedCommand *command)
{
	switch (command->type)
	{
		case SCT_Simple:
			add_event_object(event, command->d.simple.address.classId,
							 command->d.simple.address.objectId,
							 command->d.simple.address.objectSubId);
			break;
		case SCT_AlterTable:
			add_event_object(event, command->d.alterTable.classId,
							 command->d.alterTable.objectId, 0);
			break;
		case SCT_CreateOpClass:
			add_event_object(event, command->d.createopc.address.classId,
							 command->d.createopc.address.objectId, 0);
			break;
		case SCT_AlterOpFamily:
			add_event_object(event, command->d.opfam.address.classId,
							 command->d.opfam.address.objectId, 0);
			break;
		case SCT_AlterTSConfig:
			add_event_object(event, command->d.atscfg.address.classId,
							 command->d.atscfg.address.objectId, 0);
			break;
		case SCT_Grant:
			add_granted_objects(event, command->d.grant.istmt);
			break;
		default:
			break;
	}
}

static List *
collected_commands(void)
{
	TandemQuery query;
	List	   *commands = NIL;
	uint64		rows;

	query_begin(&query);
	rows = query_run_latest(&query, "SELECT command FROM pg_event_trigger_ddl_commands()");
	for (uint64 row = 0; row < rows; row++)
	{
		bool		isnull;
		Datum		command = SPI_getbinval(SPI_tuptable->vals[row],
											SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			commands = lappend(commands, DatumGetPointer(command));
	}
	query_end(&query);
	return commands;
}

static void
add_objects_from_query(DdlEvent *event, const ObjectAddress *object,
					   const char *sql)
{
	TandemQuery query;
	uint64		rows;

	query_begin(&query);
	query_oid(&query, object->objectId);
	rows = query_run_latest(&query, sql);
	for (uint64 row = 0; row < rows; row++)
		add_event_object(event, query_get_oid(row, 1), query_get_oid(row, 2),
						 0);
	query_end(&query);
}

/*
 * Moving an object to another schema moves the objects that belong to it, too.
 */
static void
add_moved_objects(DdlEvent *event)
{
	ListCell   *lc;

	foreach(lc, list_copy(event->objects))
	{
		ObjectAddress *object = lfirst(lc);

		if (object->classId == ExtensionRelationId)
			add_objects_from_query(event, object,
								   "SELECT classid, objid FROM pg_depend "
								   "WHERE refclassid = 'pg_extension'::regclass AND refobjid = $1 AND deptype = 'e'");
		else if (object->classId == RelationRelationId)
			add_objects_from_query(event, object,
								   "SELECT classid, objid FROM pg_depend "
								   "WHERE refclassid = 'pg_class'::regclass AND refobjid = $1 AND deptype IN ('a', 'i') "
								   "AND classid = 'pg_class'::regclass");
	}
}

/* Adds the table of each trigger that the command created or changed. */
static void
add_tables_of_triggers(DdlEvent *event)
{
	ListCell   *lc;

	foreach(lc, event->objects)
	{
		ObjectAddress *object = lfirst(lc);
		TandemQuery query;
		ListCell   *table;
		List	   *tables;

		if (object->classId != TriggerRelationId)
			continue;
		query_begin(&query);
		query_oid(&query, object->objectId);
		tables = query_oids(&query, "SELECT tgrelid FROM pg_trigger WHERE oid = $1");
		query_end(&query);
		foreach(table, tables)
			event->tables = list_append_unique_oid(event->tables,
												   lfirst_oid(table));
	}
}

static bool
command_changes_owner(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_ChangeOwner)
			return true;
	}
	return false;
}

bool
ddl_event_takes_away(Node *parsetree)
{
	switch (nodeTag(parsetree))
	{
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOwnerStmt:
		case T_GrantStmt:
			return true;
		case T_AlterTableStmt:
			return command_changes_owner((AlterTableStmt *) parsetree);
		default:
			return false;
	}
}

DdlEvent *
ddl_event_read(const EventTriggerData *data)
{
	DdlEvent   *event = palloc0(sizeof(DdlEvent));
	ListCell   *lc;

	event->tag = data->tag;
	event->parsetree = data->parsetree;
	foreach(lc, collected_commands())
		add_collected_command(event, lfirst(lc));
	if (IsA(event->parsetree, AlterObjectSchemaStmt))
		add_moved_objects(event);
	add_tables_of_triggers(event);
	return event;
}

List *
ddl_event_dropped_triggers(const char *name)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	query_text(&query, name);
	relids = query_oids(&query,
						"SELECT c.oid FROM pg_event_trigger_dropped_objects() d "
						"JOIN pg_namespace n ON n.nspname = d.address_names[1] "
						"JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = d.address_names[2] "
						"WHERE d.object_type = 'trigger' AND d.address_names[3] = $1");
	query_end(&query);
	return relids;
}
