/*
 * guard.c
 *		Refuses or warns of DDL that would break a migration.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"
#include "trigger/adopt.h"
#include "trigger/broken.h"
#include "trigger/changed_use.h"
#include "trigger/ddl_event.h"
#include "trigger/guard.h"
#include "trigger/guard_before.h"
#include "trigger/guard_own.h"
#include "trigger/in_use.h"
#include "trigger/install.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * The reaction to DDL that would break a migration: an error or a warning.
 *
 * Any role that may call a function can use it in a rule.  This must not
 * prevent the function's owner from renaming it.  But an owner who has granted
 * the use should not break another role's writes unknowingly.  So DDL is
 * refused if the current role can end the migration, or has explicitly granted
 * something to the table's owner.  Other roles get a warning of what they
 * break.
 *-------------------------------------------------------------------------
 */

static const char *
guard_hint_for_table(Oid relid)
{
	if (compat_is_table_owner(relid, GetUserId()))
		return "End the migration first, with tandem.contract or tandem.abort.";
	return psprintf("The owner of table %s can end the migration by contract or abort; the owner of the database, or a superuser, can abort it.",
					quoting_relation(relid));
}

/*
 * Throws the error that the command would break a migration of the table.
 * problem tells how, as a clause, and is shown to the role that runs the
 * command.
 */
static void
guard_refuse(CommandTag tag, const char *migration, Oid relid,
			 const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s would break migration \"%s\"",
					GetCommandTagName(tag), migration),
			 errdetail("After it: %s.", problem),
			 errhint("%s", guard_hint_for_table(relid))));
}

void
guard_refuse_or_warn(CommandTag tag, const char *migration, Oid relid,
					 const char *problem, bool granted)
{
	if (granted || compat_is_table_owner(relid, GetUserId()))
		guard_refuse(tag, migration, relid, problem);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("%s breaks migration \"%s\", which is not yours",
					GetCommandTagName(tag), migration),
			 errdetail("After it: %s.", problem),
			 errhint("Tell the owner of table %s: until this is undone or the migration is ended, writes fail or are not synced.",
					 quoting_relation(relid))));
}

/*-------------------------------------------------------------------------
 * Commands that create, enable or disable triggers.
 *
 * The arguments of a sync trigger are text that is parsed and planned as the
 * table's owner.  The server lets any role with the privilege TRIGGER create a
 * trigger on the table, which must not give it the rights of the owner.
 *
 * pg_dump --disable-triggers disables all triggers of a table while it loads
 * the table.  The sync trigger must fire nevertheless: rows from a dump with
 * only one side get the other one, and rows that have both are kept.  So it is
 * enabled again before the command ends, and no session ever sees it disabled.
 *-------------------------------------------------------------------------
 */

/* What an ALTER TABLE does to triggers. */
typedef struct WantedTrigger
{
	bool		ours;			/* it names the sync trigger */
	bool		first;			/* or the one that fires first */
	bool		all;			/* it applies to all triggers */
	bool		disables;
	bool		of_type;
} WantedTrigger;

static WantedTrigger
read_trigger_command(const AlterTableStmt *statement)
{
	WantedTrigger wanted = {0};
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		switch (command->subtype)
		{
			case AT_EnableTrig:
			case AT_EnableAlwaysTrig:
			case AT_EnableReplicaTrig:
			case AT_DisableTrig:
				wanted.ours |= strcmp(command->name, SYNC_TRIGGER_NAME) == 0;
				wanted.first |= strcmp(command->name, FIRST_TRIGGER_NAME) == 0;
				break;
			case AT_DisableTrigAll:
			case AT_DisableTrigUser:
				wanted.disables = true;
				wanted.all = true;
				break;
			case AT_EnableTrigAll:
			case AT_EnableTrigUser:
				wanted.all = true;
				break;
			case AT_AddOf:
				wanted.of_type = true;
				break;
			default:
				break;
		}
	}
	return wanted;
}

typedef struct TriggerBefore
{
	bool		exists;
	bool		in_force;
	char	   *version;		/* see sync_trigger_version */
} TriggerBefore;

static TriggerBefore
read_trigger_before(Oid relid)
{
	TriggerBefore before = {false, false, NULL};
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	if (query_run_before(&query,
						 "SELECT tgenabled = 'A', oid, xmin::text FROM pg_trigger "
						 "WHERE tgrelid = $1 AND tgname = '" SYNC_TRIGGER_NAME "'") > 0)
	{
		before.exists = true;
		before.in_force = query_get_bool(0, 1);
		before.version = sync_trigger_version_of(query_get_oid(0, 2),
												 (TransactionId) strtoul(query_get_text(0, 3), NULL, 10));
	}
	query_end(&query);
	return before;
}

/* Its verified rows remain valid, as the trigger was in force all the time. */
static void
put_trigger_in_force(Oid relid, const TriggerBefore *before, bool disabled)
{
	char	   *version;

	ddl_run(psprintf("ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %s",
					 quoting_relation(relid),
					 quote_identifier(SYNC_TRIGGER_NAME)));
	version = sync_trigger_version(relid);
	if (before->version && version)
		step_carry_proofs(list_make1_oid(relid), list_make1(before->version),
						  list_make1(version));
	if (disabled)
		ereport(NOTICE,
				(errmsg("trigger %s of table %s stays enabled",
						quote_identifier(SYNC_TRIGGER_NAME),
						quoting_relation(relid)),
				 errdetail("It keeps the old and new columns of an open migration in sync.")));
}

/* Its state proves nothing: no row is stored before the last trigger. */
static void
check_first_trigger_of_table(Oid relid, const SyncRule *rule,
							 const WantedTrigger *wanted, CommandTag tag)
{
	SyncTriggerRow row;

	if (!first_trigger_row(relid, &row) || row.enabled == TRIGGER_FIRES_ALWAYS)
		return;
	if (wanted->first)
		guard_refuse(tag, rule->migration, rule->relation,
					 psprintf("trigger %s of table %s is not enabled ALWAYS",
							  quote_identifier(FIRST_TRIGGER_NAME),
							  quoting_relation(relid)));
	else if (wanted->all)
		ddl_run(psprintf("ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %s",
						 quoting_relation(relid),
						 quote_identifier(FIRST_TRIGGER_NAME)));
}

static void
check_trigger_of_table(Oid relid, const SyncRule *rule,
					   const WantedTrigger *wanted, CommandTag tag)
{
	SyncTriggerRow row;
	TriggerBefore before;

	if (!sync_trigger_row(relid, &row) || row.enabled == TRIGGER_FIRES_ALWAYS)
		return;
	before = read_trigger_before(relid);
	if (before.exists && !before.in_force)
		return;
	if (wanted->ours)
		guard_refuse(tag, rule->migration, rule->relation,
					 psprintf("trigger %s of table %s is not enabled ALWAYS",
							  quote_identifier(SYNC_TRIGGER_NAME),
							  quoting_relation(relid)));
	else if (wanted->all)
		put_trigger_in_force(relid, &before, wanted->disables);
}

/*
 * Called after an ALTER TABLE of relid.  Refuses one that has disabled the
 * sync trigger by name, or has made the table a typed one (OF).  One that
 * applies to all triggers leaves this one in force: it is enabled again at
 * once, with a NOTICE.
 */
static void
guard_trigger_check(Oid relid, const DdlEvent *event)
{
	WantedTrigger wanted = read_trigger_command((AlterTableStmt *) event->parsetree);
	Oid			root = table_root(relid);
	List	   *rules;
	ListCell   *lc;

	if (!wanted.ours && !wanted.first && !wanted.all && !wanted.of_type)
		return;
	rules = sync_list_of_relation(root);
	if (rules == NIL)
		return;
	if (wanted.of_type)
		guard_refuse(event->tag, ((SyncRule *) linitial(rules))->migration, root,
					 psprintf("table %s is a typed table, from which no column can be dropped",
							  quoting_relation(relid)));
	foreach(lc, table_tree(relid))
	{
		check_first_trigger_of_table(lfirst_oid(lc), linitial(rules), &wanted,
									 event->tag);
		check_trigger_of_table(lfirst_oid(lc), linitial(rules), &wanted,
							   event->tag);
	}
}

/*
 * Throws an error if the command has created a trigger with tandem.sync_row on
 * a table and the current user lacks the rights of the table's owner.  A restore
 * may create one of which no migration knows yet.
 */
static void
guard_trigger_check_maker(const DdlEvent *event)
{
	ListCell   *lc;

	foreach(lc, event->objects)
	{
		ObjectAddress *object = lfirst(lc);
		Oid			relid;
		Oid			owner;

		if (object->classId != TriggerRelationId ||
			!trigger_is_sync(object->objectId))
			continue;
		extension_use_begins();
		relid = trigger_made_on(object->objectId);
		owner = authority_table_owner(relid);
		if (has_privs_of_role(GetUserId(), owner))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create a sync trigger on table %s",
						quoting_relation(relid)),
				 errdetail("Its arguments would be read with the rights of role \"%s\".",
						   GetUserNameFromId(owner, false)),
				 errhint("Have that role call tandem.sync_column, or restore the table as that role.")));
	}
}

/*-------------------------------------------------------------------------
 * Refusing DDL that would break an active sync.
 *
 * The server itself refuses to drop or retype what a rule uses, because the
 * trigger depends on it.  The event triggers of the extension check the rest,
 * at the end of each DDL command, as the role that runs it:
 *
 * - names, rights and shapes that the rules rely on (broken_rules_check);
 * - the trigger: it must be in force on each table of the tree, and unaltered;
 * - the tree: a synced table must remain the root of all its rows;
 * - schema tandem itself, even if nothing is synced (own_schema_check).
 *
 * A command is refused only for what it has done itself.  What was broken
 * before the transaction does not count.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_guard_ddl);

/*
 * Returns the first rule of the table, to name its migration, or NULL if none.
 */
static SyncRule *
first_rule_of_table(Oid relid)
{
	List	   *rules = sync_list_of_relation(relid);

	return rules == NIL ? NULL : linitial(rules);
}

/*
 * Returns the name of a table in the tree that has rules of its own, or NULL.
 */
static SyncRule *
first_rule_below_table(Oid relid)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		SyncRule   *rule = first_rule_of_table(lfirst_oid(lc));

		if (rule)
			return rule;
	}
	return NULL;
}

/*
 * For a new partition: its trigger must be in force, and no table below has
 * one of its own.
 */
static void
check_new_partition(Oid child, Oid parent, CommandTag tag)
{
	SyncRule   *below = first_rule_below_table(child);
	SyncRule   *above = first_rule_of_table(table_root(parent));
	char	   *problem;
	ListCell   *lc;

	if (below)
		guard_refuse(tag, below->migration, below->relation,
					 psprintf("synced table %s is a partition of %s, by whose end alone its columns could be dropped",
							  quoting_relation(below->relation),
							  quoting_relation(parent)));
	if (above == NULL)
		return;
	foreach(lc, table_tree(child))
		sync_install_first(lfirst_oid(lc));
	problem = sync_tree_problem(child);
	if (problem)
		guard_refuse(tag, above->migration, above->relation, problem);
}

static void
check_new_inheritance_child(Oid child, Oid parent, CommandTag tag)
{
	SyncRule   *rule = first_rule_of_table(table_root(parent));

	if (rule == NULL)
		rule = first_rule_below_table(child);
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
list_kinships(Oid relid, bool before)
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
kinship_is_among(const Kinship *kinship, List *kinships)
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

/* For any command: has the table become child or parent of another? */
static void
check_table_kinships(Oid relid, const DdlEvent *event)
{
	List	   *now = list_kinships(relid, false);
	List	   *before = now == NIL ? NIL : list_kinships(relid, true);
	ListCell   *lc;

	foreach(lc, now)
	{
		Kinship    *kinship = lfirst(lc);

		if (kinship_is_among(kinship, before))
			continue;
		if (get_rel_relispartition(kinship->child))
			check_new_partition(kinship->child, kinship->parent, event->tag);
		else
			check_new_inheritance_child(kinship->child, kinship->parent,
										event->tag);
	}
}

/* Is each sync of the table still in force, on all of its partitions? */
static void
check_syncs_in_force(Oid relid, CommandTag tag)
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

/* Refuses a trigger of that name if it fires outside those of the sync. */
static void
check_trigger_order(Oid relid, const char *name, CommandTag tag)
{
	char	   *outside = trigger_outside_sync(relid);
	SyncRule   *rule = first_rule_of_table(table_root(relid));

	if (rule && outside && strcmp(outside, name) == 0)
		guard_refuse(tag, rule->migration, rule->relation,
					 psprintf("trigger %s of table %s would fire outside the sync: give it a name that sorts between %s and %s",
							  quote_identifier(outside), quoting_relation(relid),
							  FIRST_TRIGGER_NAME, SYNC_TRIGGER_NAME));
}

/*
 * A restore creates the sync trigger with a plain CREATE, without OR REPLACE.
 */
static void
check_created_trigger(Oid relid, const DdlEvent *event)
{
	CreateTrigStmt *made = castNode(CreateTrigStmt, event->parsetree);
	bool		is_sync = strcmp(made->trigname, SYNC_TRIGGER_NAME) == 0;
	SyncTriggerRow row;

	if (is_sync && made->replace)
		check_syncs_in_force(relid, event->tag);
	if (!sync_trigger_row(relid, &row))
		return;
	if (is_sync)
		adopt_trigger(relid);
	/* a restore makes them one by one, in the order of their names */
	if (restore_is_running())
		return;
	sync_install_first(relid);
	check_trigger_order(relid, made->trigname, event->tag);
}

/* For a renamed trigger: was it ours, or did it fire between ours? */
static void
check_renamed_trigger(Oid relid, const DdlEvent *event)
{
	RenameStmt *rename = (RenameStmt *) event->parsetree;

	if (!IsA(rename, RenameStmt))
		return;
	if (strcmp(rename->subname, SYNC_TRIGGER_NAME) == 0 ||
		strcmp(rename->subname, FIRST_TRIGGER_NAME) == 0)
		check_syncs_in_force(relid, event->tag);
	check_trigger_order(relid, rename->newname, event->tag);
}

static void
check_changed_table(Oid relid, const DdlEvent *event)
{
	/*
	 * a trigger changes no tree, and a restore enables the sync trigger only
	 * in the next command
	 */
	if (event->tag != CMDTAG_CREATE_TRIGGER)
		check_table_kinships(relid, event);
	if (event->tag == CMDTAG_CREATE_TRIGGER)
		check_created_trigger(relid, event);
	else if (event->tag == CMDTAG_ALTER_TRIGGER)
		check_renamed_trigger(relid, event);
	else if (IsA(event->parsetree, AlterTableStmt))
	{
		guard_trigger_check(relid, event);
		target_check_new_defaults(relid, (AlterTableStmt *) event->parsetree);
	}
}

/* A member of one of these roles may have had rights only through it. */
static List *
roles_of_drop_owned(const DropOwnedStmt *statement)
{
	List	   *roles = NIL;
	ListCell   *lc;

	foreach(lc, statement->roles)
		roles = lappend_oid(roles, get_rolespec_oid(lfirst(lc), true));
	return roles;
}

/*
 * A restore revokes first, and grants in a later command or never.
 * tandem.syncs shows the rights that are missing then.
 */
static void
guard_check_command(const EventTriggerData *data)
{
	DdlEvent   *event = ddl_event_read(data);
	ListCell   *lc;

	foreach(lc, event->tables)
		check_changed_table(lfirst_oid(lc), event);
	if (event->tag == CMDTAG_GRANT)
		adopt_late();
	if (restore_is_running() && !IsA(event->parsetree, RenameStmt) &&
		!IsA(event->parsetree, AlterObjectSchemaStmt))
		return;
	broken_rules_check(event);
	changed_use_check(event);
	if (IsA(event->parsetree, DropOwnedStmt))
		broken_rules_check_roles(event,
								 roles_of_drop_owned((DropOwnedStmt *) event->parsetree));
}

/*
 * A sync trigger was dropped, perhaps together with something it depends on.
 */
static void
guard_check_dropped(const EventTriggerData *data)
{
	ListCell   *lc;

	/* with --clean it drops triggers one by one, then their tables */
	if (restore_is_running())
		return;
	foreach(lc, ddl_event_dropped_triggers(SYNC_TRIGGER_NAME))
		broken_rules_check_dropped(lfirst_oid(lc), data->tag);
	foreach(lc, ddl_event_dropped_triggers(FIRST_TRIGGER_NAME))
		check_syncs_in_force(lfirst_oid(lc), data->tag);
}

/* Is the extension being created or updated? */
static bool
runs_own_script(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("pg_tandem", true);
}

/* A restore may create a trigger before it loads the extension's tables. */
static bool
guard_is_active(const EventTriggerData *data)
{
	if (ddl_is_ours())
		return false;
	/* the last trigger may have just been dropped */
	if (strcmp(data->event, "sql_drop") == 0)
		return extension_in_use() && open_migration_exists();
	if (data->tag == CMDTAG_CREATE_TRIGGER)
		return true;
	return extension_in_use() &&
		(sync_trigger_exists() ||
		 (ddl_event_takes_away(data->parsetree) && open_migration_exists()));
}

static bool
command_creates_trigger(Node *statement)
{
	return IsA(statement, CreateTrigStmt) ||
		(IsA(statement, CreateSchemaStmt) &&
		 ((CreateSchemaStmt *) statement)->schemaElts != NIL);
}

/*
 * Checked even while DDL of ours runs, since code of other roles may run then.
 */
static void
guard_check_trigger_maker(const EventTriggerData *data)
{
	if (strcmp(data->event, "ddl_command_end") == 0 &&
		command_creates_trigger(data->parsetree))
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
	/* in pg_upgrade the extension's tables are still empty */
	if (IsBinaryUpgrade)
	{
		if (data->tag == CMDTAG_ALTER_EXTENSION)
			adopt_all_triggers();
		PG_RETURN_NULL();
	}
	guard_check_trigger_maker(data);
	if (runs_own_script())
		PG_RETURN_NULL();
	if (strcmp(data->event, "ddl_command_start") == 0)
	{
		if (!ddl_is_ours())
			guard_check_before(data);
		PG_RETURN_NULL();
	}
	if (strcmp(data->event, "ddl_command_end") == 0)
		guard_own_check(data);
	if (guard_is_active(data))
	{
		if (strcmp(data->event, "sql_drop") == 0)
			guard_check_dropped(data);
		else
			guard_check_command(data);
	}
	PG_RETURN_NULL();
}
