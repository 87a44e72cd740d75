/*
 * guard.c
 *		Refuses DDL that would break a live sync.
 *
 * What the server refuses by itself, because the trigger depends on it, is
 * dropping or retyping a column or function of a rule.  The event triggers of
 * the extension add the rest: renames, and disabling or dropping the trigger.
 *
 * Runs at the end of DDL commands, as whoever issued them; see the event
 * triggers in the extension's script.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/restore.h"
#include "core/sql_function.h"
#include "ddl/adopt.h"
#include "ddl/health.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "ddl/statement.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

SQL_FUNCTION(tandem_guard_ddl);

static List *
oids_from_query(const char *sql)
{
	TandemQuery query;
	List	   *oids;

	query_begin(&query);
	oids = query_oids(&query, sql);
	query_end(&query);
	return oids;
}

/* Tables that the command changed, or whose trigger it made or changed. */
static List *
changed_tables(void)
{
	return oids_from_query("SELECT DISTINCT coalesce(t.tgrelid, c.objid) "
						   "FROM pg_event_trigger_ddl_commands() c "
						   "LEFT JOIN pg_trigger t ON c.classid = 'pg_trigger'::regclass AND t.oid = c.objid "
						   "WHERE c.classid IN ('pg_trigger'::regclass, 'pg_class'::regclass)");
}

static void
refuse(const SyncRule *rule, CommandTag command, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s would break migration \"%s\"",
					GetCommandTagName(command), rule->migration),
			 errdetail("After it: %s.", problem),
			 errhint("End the migration first: CALL tandem.contract or CALL tandem.abort.")));
}

/*
 * Whether the command can take rights from the owner of a table.  Others are
 * not to blame for rights that are missing: a restore grants at its end.
 */
static bool
changes_rights(Node *command)
{
	ListCell   *lc;

	if (IsA(command, AlterOwnerStmt) || IsA(command, AlterExtensionStmt))
		return true;
	if (!IsA(command, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) command)->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_ChangeOwner)
			return true;
	}
	return false;
}

/*
 * A trigger made by a restore comes without the dependencies that sync_install
 * notes; so note them whenever a sync trigger is made.  Its text is that of
 * who makes it, so it is read with his rights, as the server reads its WHEN:
 * the owner's may not be there yet.
 */
static void
adopt_trigger(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Trigger    *trigger = relation_sync_trigger(rel);

	if (trigger && !trigger->tgisclone)
		sync_record_dependencies(rel, trigger->tgoid,
								 rule_args_decode(trigger));
	table_close(rel, AccessShareLock);
}

static void
warn_of_later_trigger(Oid relid)
{
	char	   *later = trigger_after_sync(relid);

	if (later)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("trigger \"%s\" fires after the sync of table \"%s\"",
						later, get_rel_name(relid)),
				 errdetail("What it writes into a synced column is not followed."),
				 errhint("Give it a name that sorts before %s.",
						 SYNC_TRIGGER_NAME)));
}

/*
 * Commands on a table: is each of its syncs still in force?  A command on a
 * partition has no lock on the table that was named at expand, and whoever has
 * may want the partition next: what it can change is told without that lock.
 */
static void
check_table(Oid relid, const EventTriggerData *data)
{
	Oid			root = table_root(relid);
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(root))
	{
		char	   *problem = sync_rule_problem(lfirst(lc),
												changes_rights(data->parsetree));

		if (problem == NULL && relid != root)
			problem = sync_tree_problem(relid);
		if (problem == NULL)
			problem = sync_trigger_problem(lfirst(lc));
		if (problem)
			refuse(lfirst(lc), data->tag, problem);
	}
}

/* Does every rule of these tables still mean something? */
static void
check_rules(List *tables, const EventTriggerData *data)
{
	ListCell   *table;

	foreach(table, tables)
	{
		ListCell   *lc;

		foreach(lc, sync_list_of_relation(lfirst_oid(table)))
		{
			char	   *problem = sync_rule_problem(lfirst(lc),
													changes_rights(data->parsetree));

			if (problem)
				refuse(lfirst(lc), data->tag, problem);
		}
	}
}

/* A sync trigger went, perhaps with something that it depends on. */
static void
check_dropped(const EventTriggerData *data)
{
	List	   *tables = restore_is_running() ? NIL : oids_from_query(
																	  "SELECT to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid "
																	  "FROM pg_event_trigger_dropped_objects() d "
																	  "WHERE d.object_type = 'trigger' AND d.address_names[3] = '" SYNC_TRIGGER_NAME "'");
	ListCell   *lc;

	foreach(lc, tables)
	{
		if (OidIsValid(lfirst_oid(lc)))
			check_table(lfirst_oid(lc), data);
	}
}

/* Whether the command can put a trigger out of force, or bring in a table. */
static bool
touches_triggers(Node *command)
{
	ListCell   *lc;

	if (!IsA(command, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) command)->cmds)
	{
		switch (lfirst_node(AlterTableCmd, lc)->subtype)
		{
			case AT_EnableTrig:
			case AT_EnableAlwaysTrig:
			case AT_EnableReplicaTrig:
			case AT_DisableTrig:
			case AT_EnableTrigAll:
			case AT_DisableTrigAll:
			case AT_EnableTrigUser:
			case AT_DisableTrigUser:
			case AT_AttachPartition:
				return true;
			default:
				break;
		}
	}
	return false;
}

/*
 * A restore alters tables before their triggers are there.  So a trigger that
 * is missing is nothing that ALTER TABLE could have done: what it drops is
 * told by the other event.
 */
static void
check_altered(Oid relid, const EventTriggerData *data)
{
	SyncTriggerRow row;

	if (touches_triggers(data->parsetree) &&
		sync_trigger_row(table_root(relid), &row))
		check_table(relid, data);
	else
		check_rules(list_make1_oid(table_root(relid)), data);
}

/* A restore makes the sync trigger without REPLACE. */
static void
check_created_trigger(Oid relid, const EventTriggerData *data)
{
	CreateTrigStmt *made = castNode(CreateTrigStmt, data->parsetree);
	bool		is_sync = strcmp(made->trigname, SYNC_TRIGGER_NAME) == 0;
	SyncTriggerRow row;

	if (is_sync && made->replace)
		check_table(relid, data);
	if (!sync_trigger_row(relid, &row))
		return;
	if (is_sync)
		adopt_trigger(relid);
	warn_of_later_trigger(relid);
}

static void
check_command(const EventTriggerData *data, List *tables)
{
	CommandTag	tag = data->tag;
	ListCell   *lc;

	if (strcmp(data->event, "sql_drop") == 0)
		check_dropped(data);
	else if (tag == CMDTAG_CREATE_TRIGGER)
	{
		foreach(lc, changed_tables())
			check_created_trigger(lfirst_oid(lc), data);
	}
	else if (tag == CMDTAG_ALTER_TABLE)
	{
		foreach(lc, changed_tables())
			check_altered(lfirst_oid(lc), data);
	}
	else if (tag == CMDTAG_ALTER_TRIGGER)
	{
		foreach(lc, changed_tables())
			check_table(lfirst_oid(lc), data);
	}
	else
		check_rules(tables, data);
}

Datum
tandem_guard_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.guard_ddl() can only be called as an event trigger"),
				 errhint("CREATE EXTENSION pg_tandem makes its event triggers.")));
	/* pg_upgrade: the tables of state have no rows yet */
	if (IsBinaryUpgrade)
	{
		if (data->tag == CMDTAG_ALTER_EXTENSION)
			adopt_all_triggers();
	}
	/* the extension itself may be on its way in or out */
	else if (!ddl_is_running() && !creating_extension &&
			 OidIsValid(extension_schema()))
	{
		List	   *tables = sync_relations_live();

		/* a restore may make a trigger before it loads the tables of state */
		if (tables != NIL || data->tag == CMDTAG_CREATE_TRIGGER)
			check_command(data, tables);
	}
	PG_RETURN_NULL();
}
