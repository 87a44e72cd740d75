/*
 * guard.c
 *		Refuses DDL that would break a live sync.
 *
 * Runs at the end of DDL commands, as whoever issued them; see the event
 * triggers in the extension's script.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "catalog/sync.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "core/query.h"
#include "ddl/guard.h"
#include "ddl/health.h"
#include "ddl/install.h"
#include "core/sql_function.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"
#include "tcop/cmdtag.h"
#include "utils/lsyscache.h"

SQL_FUNCTION(tandem_guard_ddl);

static int	suspended = 0;

void
guard_suspend(void)
{
	suspended++;
}

void
guard_resume(void)
{
	suspended--;
}

static List *
oids_from_query(const char *sql)
{
	TandemQuery query;
	List	   *oids = NIL;
	uint64		rows;
	MemoryContext old;

	query_begin(&query);
	rows = query_run(&query, sql);
	old = MemoryContextSwitchTo(query.caller);
	for (uint64 row = 0; row < rows; row++)
		oids = lappend_oid(oids, query_get_oid(row, 1));
	MemoryContextSwitchTo(old);
	query_end(&query);
	return oids;
}

/* Tables with live syncs. */
static List *
synced_tables(void)
{
	return oids_from_query("SELECT DISTINCT s.relation::oid FROM tandem.sync s "
						   "JOIN tandem.migration m ON m.id = s.migration "
						   "WHERE m.phase NOT IN ('done', 'aborted')");
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
refuse(const SyncRule *rule, const char *command, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s would break migration \"%s\"", command,
					rule->migration),
			 errdetail("After it: %s.", problem),
			 errhint("End the migration first: CALL tandem.contract or CALL tandem.abort.")));
}

/*
 * A trigger made by a restore comes without the dependencies that sync_install
 * notes; so note them whenever a sync trigger is made.
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
check_created_trigger(Oid relid)
{
	char	   *later;
	SyncTriggerRow row;

	if (!sync_trigger_row(relid, &row))
		return;
	adopt_trigger(relid);
	later = trigger_after_sync(relid);
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
 * Commands on a table: is each of its syncs still in force?  ALTER TABLE takes
 * no trigger away, so where there is none it has not come yet: a restore makes
 * constraints before triggers.
 */
static void
check_table(Oid relid, CommandTag tag, const char *command)
{
	Oid			root = sync_root(relid);
	SyncTriggerRow row;
	bool		awaited = tag == CMDTAG_ALTER_TABLE &&
	!sync_trigger_row(root, &row);
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(root))
	{
		char	   *problem = awaited ? sync_rule_problem(lfirst(lc))
		: sync_problem(lfirst(lc));

		if (problem)
			refuse(lfirst(lc), command, problem);
	}
}

/* Commands on other objects: does every rule still mean something? */
static void
check_rules(List *tables, const char *command)
{
	ListCell   *table;

	foreach(table, tables)
	{
		ListCell   *lc;

		foreach(lc, sync_list_of_relation(lfirst_oid(table)))
		{
			char	   *problem = sync_rule_problem(lfirst(lc));

			if (problem)
				refuse(lfirst(lc), command, problem);
		}
	}
}

static void
check_dropped(CommandTag tag, const char *command)
{
	List	   *tables = oids_from_query(
										 "SELECT to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid "
										 "FROM pg_event_trigger_dropped_objects() d "
										 "WHERE d.original AND d.object_type = 'trigger' AND d.address_names[3] = '" SYNC_TRIGGER_NAME "'");
	ListCell   *lc;

	foreach(lc, tables)
	{
		if (OidIsValid(lfirst_oid(lc)))
			check_table(lfirst_oid(lc), tag, command);
	}
}

static void
check_command(CommandTag tag, List *tables)
{
	const char *command = GetCommandTagName(tag);
	ListCell   *lc;

	if (tag == CMDTAG_DROP_TRIGGER)
		check_dropped(tag, command);
	else if (tag == CMDTAG_CREATE_TRIGGER)
	{
		foreach(lc, changed_tables())
			check_created_trigger(lfirst_oid(lc));
	}
	else if (tag == CMDTAG_ALTER_TABLE || tag == CMDTAG_ALTER_TRIGGER)
	{
		foreach(lc, changed_tables())
			check_table(lfirst_oid(lc), tag, command);
	}
	else
		check_rules(tables, command);
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
	/* the extension itself may be on its way in or out */
	if (suspended == 0 && !creating_extension &&
		OidIsValid(get_extension_oid("pg_tandem", true)))
	{
		List	   *tables = synced_tables();

		/* a restore may make a trigger before it loads the tables of state */
		if (tables != NIL || data->tag == CMDTAG_CREATE_TRIGGER)
			check_command(data->tag, tables);
	}
	PG_RETURN_NULL();
}
