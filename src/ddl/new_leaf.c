/*
 * new_leaf.c
 *		Notes of a new partition of a synced table that it has nothing to fill.
 *
 * A partition gets a clone of the sync trigger when it is created or attached.
 * If it has no row then, every row that it will have is written under that
 * trigger: it is filled and proved as it is.  It must be noted in the command
 * that brings it in, while nobody else can write it; nothing would tell later.
 *
 * Runs at the end of DDL commands, as whoever issued them; see the event trigger
 * in the extension's script.  What is not noted, say because event triggers were
 * off, is filled as any other.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/sql_function.h"
#include "ddl/partitions.h"
#include "sync/fill_mark.h"
#include "sync/trigger_row.h"

SQL_FUNCTION(tandem_note_new_leaf);

static bool
is_synced(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	SyncTriggerRow row;

	return OidIsValid(relid) && sync_trigger_row(relid, &row);
}

/* The tables that the command has created. */
static List *
created_tables(void)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	relids = query_oids(&query,
						"SELECT c.objid FROM pg_event_trigger_ddl_commands() c "
						"WHERE c.classid = 'pg_class'::regclass AND c.command_tag = 'CREATE TABLE'");
	query_end(&query);
	return relids;
}

static bool
creates_synced_partition(Node *statement)
{
	CreateStmt *create = (CreateStmt *) statement;

	return IsA(statement, CreateStmt) && create->partbound &&
		is_synced(linitial_node(RangeVar, create->inhRelations));
}

/* CREATE SCHEMA may create tables in the same command. */
static bool
has_synced_partition(CreateSchemaStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->schemaElts)
	{
		if (creates_synced_partition(lfirst(lc)))
			return true;
	}
	return false;
}

/* The leaf tables that ALTER TABLE has attached to a synced table. */
static List *
attached_leaves(AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AttachPartition &&
			statement->objtype == OBJECT_TABLE &&
			is_synced(statement->relation))
		{
			RangeVar   *name = castNode(PartitionCmd, command->def)->name;

			return table_leaves(RangeVarGetRelid(name, NoLock, false));
		}
	}
	return NIL;
}

/* Leaf tables that the command has brought under a sync, or nearly so. */
static List *
new_leaves(Node *statement)
{
	if (IsA(statement, AlterTableStmt))
		return attached_leaves((AlterTableStmt *) statement);
	if (creates_synced_partition(statement) ||
		(IsA(statement, CreateSchemaStmt) &&
		 has_synced_partition((CreateSchemaStmt *) statement)))
		return created_tables();
	return NIL;
}

/* Who creates or attaches a partition keeps others out of it until the commit. */
static bool
is_locked_by_us(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return compat_lock_is_held(&tag, AccessExclusiveLock);
}

static void
note_leaf(Oid relid)
{
	SyncTriggerRow trigger;
	Relation	rel;
	char	   *version;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_RELATION ||
		!get_rel_relispartition(relid) ||
		!sync_trigger_row(relid, &trigger) || !trigger.intact ||
		trigger.enabled != TRIGGER_FIRES_ALWAYS || !is_locked_by_us(relid))
		return;
	rel = table_open(relid, NoLock);
	version = sync_trigger_version(relid);
	foreach(lc, sync_list_of_relation(table_root(relid)))
	{
		SyncRule   *rule = lfirst(lc);

		if (fill_mark_note_empty(rule, rel, trigger.oid))
			step_note_empty(rule->migration_id, relid, fill_mark_file(rel),
							version);
	}
	table_close(rel, NoLock);
}

Datum
tandem_note_new_leaf(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.note_new_leaf() can only be called as an event trigger"),
				 errhint("Its event triggers are created by CREATE EXTENSION pg_tandem.")));
	/* pg_upgrade brings the rows of its empty tables later, past any trigger */
	if (!IsBinaryUpgrade)
	{
		ListCell   *lc;

		foreach(lc, new_leaves(data->parsetree))
			note_leaf(lfirst_oid(lc));
	}
	PG_RETURN_NULL();
}
