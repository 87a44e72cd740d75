/*
 * guard.c
 *		Refuses DDL that would break a live sync.
 *
 * What the server refuses by itself, because the trigger depends on it, is
 * dropping or retyping what a rule uses.  The event triggers of the extension
 * add the rest, at the end of each DDL command, as whoever issued it:
 *
 * - names, rights and shapes that the rules rely on (broken_rules);
 * - the trigger: in force on each table of the tree, and as the sync made it;
 * - the tree: a synced table stays the root of all of its rows;
 * - schema tandem itself, whether or not anything is synced (guard_own).
 *
 * Refused is only what the command has done: what was so before the transaction
 * is nobody's fault now.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/open_migration.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/restore.h"
#include "core/sql_function.h"
#include "ddl/adopt.h"
#include "ddl/broken_rules.h"
#include "ddl/ddl_event.h"
#include "ddl/guard_own.h"
#include "ddl/guard_report.h"
#include "ddl/guard_trigger.h"
#include "ddl/health.h"
#include "ddl/partitions.h"
#include "ddl/rule_objects.h"
#include "ddl/statement.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

SQL_FUNCTION(tandem_guard_ddl);

/* The first rule of the table, to name its migration; NULL: it is not synced. */
static SyncRule *
rule_of(Oid relid)
{
	List	   *rules = sync_list_of_relation(relid);

	return rules == NIL ? NULL : linitial(rules);
}

/* A table of the tree that has rules of its own, or NULL. */
static SyncRule *
rule_below(Oid relid)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		SyncRule   *rule = rule_of(lfirst_oid(lc));

		if (rule)
			return rule;
	}
	return NULL;
}

/* A partition that came: its trigger is in force, and nothing below has its own. */
static void
check_new_partition(Oid child, Oid parent, CommandTag tag)
{
	SyncRule   *below = rule_below(child);
	SyncRule   *above = rule_of(table_root(parent));
	char	   *problem;

	if (below)
		guard_refuse(tag, below->migration, below->relation,
					 psprintf("synced table %s is a partition of %s, by whose end alone its columns could be dropped",
							  quoting_relation(below->relation),
							  quoting_relation(parent)));
	if (above == NULL)
		return;
	problem = sync_tree_problem(child);
	if (problem)
		guard_refuse(tag, above->migration, above->relation, problem);
}

static void
check_new_child(Oid child, Oid parent, CommandTag tag)
{
	SyncRule   *rule = rule_of(table_root(parent));

	if (rule == NULL)
		rule = rule_below(child);
	if (rule)
		guard_refuse(tag, rule->migration, rule->relation,
					 psprintf("table %s inherits from %s, and rows of the two are not synced alike",
							  quoting_relation(child), quoting_relation(parent)));
}

#define PARENTS_AND_CHILDREN \
	"SELECT inhrelid, inhparent FROM pg_inherits WHERE inhrelid = $1 OR inhparent = $1"

typedef struct Kinship
{
	Oid			child;
	Oid			parent;
} Kinship;

static List *
kinships_of(Oid relid, bool before)
{
	TandemQuery query;
	List	   *kinships = NIL;
	uint64		rows;

	query_begin(&query);
	query_oid(&query, relid);
	rows = before ? query_run_before(&query, PARENTS_AND_CHILDREN)
		: query_run_latest(&query, PARENTS_AND_CHILDREN);
	for (uint64 row = 0; row < rows; row++)
	{
		Kinship    *kinship = palloc(sizeof(Kinship));

		kinship->child = query_get_oid(row, 1);
		kinship->parent = query_get_oid(row, 2);
		kinships = lappend(kinships, kinship);
	}
	query_end(&query);
	return kinships;
}

static bool
is_among(const Kinship *kinship, List *kinships)
{
	ListCell   *lc;

	foreach(lc, kinships)
	{
		Kinship    *other = lfirst(lc);

		if (other->child == kinship->child && other->parent == kinship->parent)
			return true;
	}
	return false;
}

/* Whatever the command: is the table the child or parent of another since? */
static void
check_tree(Oid relid, const DdlEvent *event)
{
	List	   *now = kinships_of(relid, false);
	List	   *before = now == NIL ? NIL : kinships_of(relid, true);
	ListCell   *lc;

	foreach(lc, now)
	{
		Kinship    *kinship = lfirst(lc);

		if (is_among(kinship, before))
			continue;
		if (get_rel_relispartition(kinship->child))
			check_new_partition(kinship->child, kinship->parent, event->tag);
		else
			check_new_child(kinship->child, kinship->parent, event->tag);
	}
}

static void
warn_of_later_trigger(Oid relid)
{
	char	   *later = trigger_after_sync(relid);

	if (later)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("trigger \"%s\" fires after the sync of table \"%s\"",
						later, quoting_shown_name(relid)),
				 errdetail("What it writes into a synced column is not followed."),
				 errhint("Give it a name that sorts before %s.",
						 SYNC_TRIGGER_NAME)));
}

/* Is each sync of the table still in force, on all of its partitions? */
static void
check_in_force(Oid relid, CommandTag tag)
{
	Oid			root = table_root(relid);
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(root))
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem = relid == root ? NULL : sync_tree_problem(relid);

		if (problem == NULL)
			problem = sync_trigger_problem(rule);
		if (problem)
			guard_refuse(tag, rule->migration, root, problem);
	}
}

/* A restore makes the sync trigger without REPLACE. */
static void
check_created_trigger(Oid relid, const DdlEvent *event)
{
	CreateTrigStmt *made = castNode(CreateTrigStmt, event->parsetree);
	bool		is_sync = strcmp(made->trigname, SYNC_TRIGGER_NAME) == 0;
	SyncTriggerRow row;

	if (is_sync && made->replace)
		check_in_force(relid, event->tag);
	if (!sync_trigger_row(relid, &row))
		return;
	if (is_sync)
		adopt_trigger(relid);
	warn_of_later_trigger(relid);
}

/* Of a trigger that is renamed: ours, or one that fired before ours? */
static void
check_renamed_trigger(Oid relid, const DdlEvent *event)
{
	RenameStmt *rename = (RenameStmt *) event->parsetree;

	if (IsA(rename, RenameStmt) &&
		(strcmp(rename->subname, SYNC_TRIGGER_NAME) == 0 ||
		 (strcmp(rename->subname, SYNC_TRIGGER_NAME) < 0 &&
		  strcmp(rename->newname, SYNC_TRIGGER_NAME) > 0)))
		check_in_force(relid, event->tag);
}

static void
check_table(Oid relid, const DdlEvent *event)
{
	/*
	 * a trigger changes no tree; a restore enables the sync trigger in the
	 * next command
	 */
	if (event->tag != CMDTAG_CREATE_TRIGGER)
		check_tree(relid, event);
	if (event->tag == CMDTAG_CREATE_TRIGGER)
		check_created_trigger(relid, event);
	else if (event->tag == CMDTAG_ALTER_TRIGGER)
		check_renamed_trigger(relid, event);
	else if (IsA(event->parsetree, AlterTableStmt))
		guard_trigger_check(relid, event);
}

/* A role may hold rights by way of one that has lost its own. */
static List *
roles_of(const DropOwnedStmt *statement)
{
	List	   *roles = NIL;
	ListCell   *lc;

	foreach(lc, statement->roles)
		roles = lappend_oid(roles, get_rolespec_oid(lfirst(lc), true));
	return roles;
}

/*
 * A restore revokes first, and grants in the next command, or never: rights
 * that are missing then are shown by tandem.syncs.
 */
static void
check_command(const EventTriggerData *data)
{
	DdlEvent   *event = ddl_event_read(data);
	ListCell   *lc;

	foreach(lc, event->tables)
		check_table(lfirst_oid(lc), event);
	if (event->tag == CMDTAG_GRANT)
		adopt_late();
	if (restore_is_running() && !IsA(event->parsetree, RenameStmt) &&
		!IsA(event->parsetree, AlterObjectSchemaStmt))
		return;
	broken_rules_check(event);
	if (IsA(event->parsetree, DropOwnedStmt))
		broken_rules_check_roles(event,
								 roles_of((DropOwnedStmt *) event->parsetree));
}

/* A sync trigger went, perhaps with something that it depends on. */
static void
check_dropped(const EventTriggerData *data)
{
	ListCell   *lc;

	/* one that cleans drops the triggers one by one, and then their tables */
	if (restore_is_running())
		return;
	foreach(lc, ddl_event_dropped_triggers(SYNC_TRIGGER_NAME))
		broken_rules_check_dropped(lfirst_oid(lc), data->tag);
}

/* While the extension itself is made or updated. */
static bool
runs_own_script(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("pg_tandem", true);
}

/* A restore may make a trigger before it loads the tables of state. */
static bool
is_guarding(const EventTriggerData *data)
{
	if (ddl_is_running())
		return false;
	/* the last trigger may just have been dropped */
	if (strcmp(data->event, "sql_drop") == 0)
		return open_migration_exists();
	return sync_trigger_exists() || data->tag == CMDTAG_CREATE_TRIGGER ||
		(ddl_event_takes_away(data->parsetree) && open_migration_exists());
}

/* Also of a trigger that comes while DDL of ours runs: others' code may run then. */
static void
check_maker(const EventTriggerData *data)
{
	if (strcmp(data->event, "ddl_command_end") == 0 &&
		(data->tag == CMDTAG_CREATE_TRIGGER ||
		 data->tag == CMDTAG_CREATE_SCHEMA))
		guard_trigger_check_maker(ddl_event_read(data));
}

Datum
tandem_guard_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.guard_ddl() can only be called as an event trigger"),
				 errhint("Its event triggers are created by CREATE EXTENSION pg_tandem.")));
	/* pg_upgrade: the tables of state have no rows yet */
	if (IsBinaryUpgrade)
	{
		if (data->tag == CMDTAG_ALTER_EXTENSION)
			adopt_all_triggers();
		PG_RETURN_NULL();
	}
	check_maker(data);
	if (runs_own_script())
		PG_RETURN_NULL();
	if (strcmp(data->event, "ddl_command_end") == 0)
		guard_own_check(data);
	if (is_guarding(data))
	{
		if (strcmp(data->event, "sql_drop") == 0)
			check_dropped(data);
		else
			check_command(data);
	}
	PG_RETURN_NULL();
}
