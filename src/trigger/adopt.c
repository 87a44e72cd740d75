/*
 * adopt.c
 *		Handles triggers that come from a dump, or with a new partition.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/fill_mark.h"
#include "rule/recorded_calls.h"
#include "rule/relation_rules.h"
#include "rule/rule_args.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"
#include "trigger/added_columns.h"
#include "trigger/adopt.h"
#include "trigger/in_use.h"
#include "trigger/rule_objects.h"
#include "trigger/writer_trigger.h"

/*-------------------------------------------------------------------------
 * Sync triggers without their dependencies.
 *-------------------------------------------------------------------------
 */

static bool
trigger_is_adopted(Oid trigger)
{
	RecordedCalls calls;

	return recorded_calls(trigger, &calls);
}

/*
 * Returns tables with a sync trigger of their own (not cloned from a
 * partitioned table) whose objects are not recorded.  Only these will be
 * locked, since a GRANT keeps its locks until the end of its transaction.
 */
static List *
tables_to_adopt(void)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *relids = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (strcmp(NameStr(trigger->tgname), SYNC_TRIGGER_NAME) == 0 &&
			!OidIsValid(trigger->tgparentid) &&
			!trigger_is_adopted(trigger->oid) &&
			get_func_namespace(trigger->tgfoid) == extension_schema())
			relids = lappend_oid(relids, trigger->tgrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

typedef struct Adoption
{
	Relation	rel;
	Trigger    *trigger;
} Adoption;

static void
record_trigger_objects(void *arg)
{
	Adoption   *adoption = arg;

	rule_objects_record(adoption->rel, adoption->trigger->tgoid,
						rule_args_decode(adoption->trigger));
}

/* Returns the error of the attempt, or NULL. */
static ErrorData *
try_to_adopt_trigger(Oid relid)
{
	Relation	rel = relation_open_present(relid, AccessShareLock);
	Adoption	adoption = {rel, relation_sync_trigger(rel)};
	ErrorData  *error = NULL;

	if (adoption.trigger && !adoption.trigger->tgisclone &&
		!trigger_is_adopted(adoption.trigger->tgoid))
		error = subtransaction_try(record_trigger_objects, &adoption);
	table_close(rel, AccessShareLock);
	return error;
}

void
adopt_trigger(Oid relid)
{
	ErrorData  *error = try_to_adopt_trigger(relid);

	/* a restore grants privileges at its end: see adopt_late */
	if (error && error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		ReThrowError(error);
}

/* A table that is locked by another session is left to the next GRANT. */
void
adopt_late(void)
{
	ListCell   *lc;

	foreach(lc, tables_to_adopt())
	{
		AuthorityScope scope;

		if ((lock_is_ours(lfirst_oid(lc)) ||
			 ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock)) &&
			authority_enter_owner_of(&scope, lfirst_oid(lc)))
		{
			adopt_trigger(lfirst_oid(lc));
			authority_leave(&scope);
		}
	}
}

void
adopt_all_triggers(void)
{
	ListCell   *lc;

	foreach(lc, tables_to_adopt())
	{
		ErrorData  *error = try_to_adopt_trigger(lfirst_oid(lc));

		if (error)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("sync trigger of table %s cannot be read",
							quoting_relation(lfirst_oid(lc))),
					 errdetail("%s", error->message),
					 errhint("Run SELECT * FROM tandem.syncs;")));
	}
	CommandCounterIncrement();
}

/*-------------------------------------------------------------------------
 * Recording that a new partition of a synced table has nothing to fill.
 *
 * A partition gets a clone of the sync trigger when it is created or attached.
 * If it has no row then, all its rows will be written under that trigger, so
 * it counts as filled and verified.  This must be recorded in the command
 * itself, while no other session can write to it; nothing shows it later.
 *
 * Called at the end of DDL commands as the role that runs them; see the event
 * trigger in the extension's script.  A partition that was not recorded,
 * because event triggers were disabled, is filled like any other.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_note_table_change);

static bool
table_is_synced(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	SyncTriggerRow row;

	return OidIsValid(relid) && sync_trigger_row(relid, &row);
}

/* Returns the tables created by the command. */
static List *
tables_of_command(void)
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
		table_is_synced(linitial_node(RangeVar, create->inhRelations));
}

/* CREATE SCHEMA may create tables in the same command. */
static bool
schema_has_synced_partition(CreateSchemaStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->schemaElts)
	{
		if (creates_synced_partition(lfirst(lc)))
			return true;
	}
	return false;
}

/* Returns the leaf tables that ALTER TABLE has attached to a synced table. */
static List *
attached_leaves(AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AttachPartition &&
			statement->objtype == OBJECT_TABLE &&
			table_is_synced(statement->relation))
		{
			RangeVar   *name = castNode(PartitionCmd, command->def)->name;

			return table_leaves(RangeVarGetRelid(name, NoLock, false));
		}
	}
	return NIL;
}

/*
 * Returns leaf tables that may have become part of a synced table by the
 * command.
 */
static List *
leaves_brought_under_sync(Node *statement)
{
	if (IsA(statement, AlterTableStmt))
		return attached_leaves((AlterTableStmt *) statement);
	if (creates_synced_partition(statement) ||
		(IsA(statement, CreateSchemaStmt) &&
		 schema_has_synced_partition((CreateSchemaStmt *) statement)))
		return tables_of_command();
	return NIL;
}

/*
 * A command that creates or attaches a partition holds a lock on it until
 * commit.
 */
static bool
table_is_locked_by_us(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return compat_lock_is_held(&tag, AccessExclusiveLock);
}

/*
 * Records the leaf as filled for each rule if it is empty, locked by us, and
 * its trigger in force.
 */
static void
note_empty_leaf(Oid relid)
{
	SyncTriggerRow trigger;
	Relation	rel;
	char	   *version;
	ListCell   *lc;

	if (get_rel_relkind(relid) != RELKIND_RELATION ||
		!get_rel_relispartition(relid) ||
		!sync_trigger_row(relid, &trigger) || !trigger.intact ||
		trigger.enabled != TRIGGER_FIRES_ALWAYS ||
		!table_is_locked_by_us(relid))
		return;
	rel = table_open(relid, NoLock);
	version = sync_trigger_version(relid);
	foreach(lc, sync_list_of_relation(table_root(relid)))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_has_new_side(rule) && fill_mark_note_empty(rule, rel, trigger.oid))
			step_note_empty(rule->migration_id, relid, fill_mark_file(rel),
							version,
							rule_uses_of_table(relid, rule->migration_id));
	}
	table_close(rel, NoLock);
}

/*-------------------------------------------------------------------------
 * Tables that come to, or leave, a tree that a migration renames or drops.
 *
 * The trigger that marks their writers is a statement's, which the server neither
 * clones nor takes back.
 *-------------------------------------------------------------------------
 */

/* Returns the tables of a partition that is attached or detached, with all below it. */
static List *
tables_moved(AlterTableStmt *statement)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		Oid			relid;

		if (statement->objtype != OBJECT_TABLE ||
			(command->subtype != AT_AttachPartition &&
			 command->subtype != AT_DetachPartition &&
			 command->subtype != AT_DetachPartitionFinalize))
			continue;
		relid = RangeVarGetRelid(castNode(PartitionCmd, command->def)->name, NoLock, true);
		if (OidIsValid(relid))
			relids = list_concat_unique_oid(relids, table_tree(relid));
	}
	return relids;
}

static List *
partitions_of_command(void)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, tables_of_command())
	{
		if (get_rel_relispartition(lfirst_oid(lc)))
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

/* Whoever attaches or detaches a partition need not own it. */
static void
follow_writers(Node *statement)
{
	List	   *relids = IsA(statement, AlterTableStmt) ? tables_moved((AlterTableStmt *) statement)
	: IsA(statement, CreateSchemaStmt) ||
	(IsA(statement, CreateStmt) && ((CreateStmt *) statement)->partbound)
	? partitions_of_command() : NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		AuthorityScope scope;

		if (writer_trigger_agrees(lfirst_oid(lc)) ||
			!authority_enter_owner_of(&scope, lfirst_oid(lc)))
			continue;
		writer_trigger_follow(lfirst_oid(lc));
		authority_leave(&scope);
	}
}

Datum
tandem_note_table_change(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.note_table_change() can only be called as an event trigger"),
				 errhint("Its event triggers are created by CREATE EXTENSION pg_tandem.")));
	/* pg_upgrade fills the empty tables later, without firing triggers */
	if (!IsBinaryUpgrade && extension_in_use())
	{
		ListCell   *lc;

		foreach(lc, leaves_brought_under_sync(data->parsetree))
			note_empty_leaf(lfirst_oid(lc));
		follow_writers(data->parsetree);
		/* tandem.add_column records its own */
		if (!ddl_is_ours())
			added_columns_follow(data->parsetree);
	}
	PG_RETURN_NULL();
}
