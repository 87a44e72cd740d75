/*
 * guard_trigger.c
 *		Commands that make, enable or disable triggers.
 *
 * The arguments of a sync trigger are text that is read and planned as the owner
 * of the table.  The server lets everybody make a trigger who has the privilege
 * TRIGGER on the table, which is not the right to speak for its owner.
 *
 * pg_dump --disable-triggers has all triggers of a table disabled while it loads
 * the table.  The sync trigger must fire all the same: rows of a dump that has
 * one shape alone get the other, those that hold both stay as they are.  So it is
 * enabled again before the command ends, and nobody ever sees it disabled.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/quoting.h"
#include "ddl/guard_report.h"
#include "ddl/guard_trigger.h"
#include "ddl/health.h"
#include "ddl/partitions.h"
#include "ddl/statement.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

/* What an ALTER TABLE says of triggers. */
typedef struct Wanted
{
	bool		ours;			/* names the sync trigger */
	bool		all;			/* means every trigger */
	bool		disables;
	bool		of_type;
} Wanted;

static Wanted
read_command(const AlterTableStmt *statement)
{
	Wanted		wanted = {false, false, false, false};
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
trigger_before(Oid relid)
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

/* The proof of its rows stays true: there was no moment without the trigger. */
static void
put_in_force(Oid relid, const TriggerBefore *before, bool disabled)
{
	char	   *version;

	ddl_run(psprintf("ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %s",
					 quoting_relation(relid),
					 quote_identifier(SYNC_TRIGGER_NAME)));
	version = sync_trigger_version(relid);
	if (before->version && version)
		step_carry_proof(relid, before->version, version);
	if (disabled)
		ereport(NOTICE,
				(errmsg("trigger %s of table %s stays enabled",
						quote_identifier(SYNC_TRIGGER_NAME),
						quoting_relation(relid)),
				 errdetail("It keeps the old and new columns of an open migration in sync.")));
}

static void
check_trigger_of(Oid relid, const SyncRule *rule, const Wanted *wanted,
				 CommandTag tag)
{
	SyncTriggerRow row;
	TriggerBefore before;

	if (!sync_trigger_row(relid, &row) || row.enabled == TRIGGER_FIRES_ALWAYS)
		return;
	before = trigger_before(relid);
	if (before.exists && !before.in_force)
		return;
	if (wanted->ours)
		guard_refuse(tag, rule->migration, rule->relation,
					 psprintf("trigger %s of table %s is not enabled ALWAYS",
							  quote_identifier(SYNC_TRIGGER_NAME),
							  quoting_relation(relid)));
	else if (wanted->all)
		put_in_force(relid, &before, wanted->disables);
}

void
guard_trigger_check(Oid relid, const DdlEvent *event)
{
	Wanted		wanted = read_command((AlterTableStmt *) event->parsetree);
	Oid			root = table_root(relid);
	List	   *rules;
	ListCell   *lc;

	if (!wanted.ours && !wanted.all && !wanted.of_type)
		return;
	rules = sync_list_of_relation(root);
	if (rules == NIL)
		return;
	if (wanted.of_type)
		guard_refuse(event->tag, ((SyncRule *) linitial(rules))->migration, root,
					 psprintf("table %s is a typed table, from which no column can be dropped",
							  quoting_relation(relid)));
	foreach(lc, table_tree(relid))
		check_trigger_of(lfirst_oid(lc), linitial(rules), &wanted, event->tag);
}

void
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
