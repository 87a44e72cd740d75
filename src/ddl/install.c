/*
 * install.c
 *		Putting the sync trigger on a table, and taking it off.
 *
 * The trigger is made by a statement, as a user would make it: so it is seen
 * by event triggers, dumped, and cloned to every partition now and later.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/quoting.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "ddl/rule_objects.h"
#include "ddl/statement.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/rule_order.h"
#include "sync/trigger_row.h"

static char *
create_statement(Oid relid, List *rules)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION tandem.sync_row(",
					 quote_identifier(SYNC_TRIGGER_NAME),
					 quoting_relation(relid));
	foreach(lc, rule_args_encode(rules))
		appendStringInfo(&sql, "%s%s",
						 foreach_current_index(lc) ? ", " : "",
						 quote_literal_cstr(lfirst(lc)));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* What has ended was taken off with its end. */
static bool
is_recorded(const SyncRule *installed, Oid relid)
{
	bool		live;
	SyncRule   *rule = sync_get(installed->id, &live);

	return rule && live && rule->relation == relid &&
		strcmp(rule->migration, installed->migration) == 0;
}

static void
refuse_unknown(Oid relid, const SyncRule *installed)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table %s has a sync trigger of a migration that is not known here",
					quoting_relation(relid)),
			 errdetail("It keeps column \"%s\" equal to column \"%s\" for migration \"%s\"; a restore of the table alone has brought it along.",
					   (char *) linitial(installed->new_columns),
					   (char *) linitial(installed->old_columns),
					   installed->migration),
			 errhint("If this is no longer needed, run DROP TRIGGER %s ON %s; then call this again.",
					 quote_identifier(SYNC_TRIGGER_NAME),
					 quoting_relation(relid))));
}

void
sync_check_found(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Trigger    *trigger = relation_sync_trigger(rel);
	List	   *rules = trigger ? rule_args_decode(trigger) : NIL;
	ListCell   *lc;

	table_close(rel, AccessShareLock);
	foreach(lc, rules)
	{
		if (!is_recorded(lfirst(lc), relid))
			refuse_unknown(relid, lfirst(lc));
	}
}

/* The versions of the triggers of all leaves, before we change them. */
static List *
leaf_versions(List *leaves)
{
	List	   *versions = NIL;
	ListCell   *lc;

	foreach(lc, leaves)
		versions = lappend(versions, sync_trigger_version(lfirst_oid(lc)));
	return versions;
}

static void
carry_proofs(List *leaves, List *versions)
{
	ListCell   *leaf;
	ListCell   *before;

	forboth(leaf, leaves, before, versions)
	{
		char	   *after = sync_trigger_version(lfirst_oid(leaf));

		if (lfirst(before) && after)
			step_carry_proof(lfirst_oid(leaf), lfirst(before), after);
	}
}

static void
replace_trigger(Oid relid, List *rules)
{
	Relation	rel;
	List	   *leaves = table_leaves(relid);
	List	   *versions = leaf_versions(leaves);

	rel = table_open(relid, NoLock);
	rules = rule_order_sort(rules, rel);
	table_close(rel, NoLock);

	ddl_run(create_statement(relid, rules));
	ddl_run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
					 quoting_relation(relid),
					 quote_identifier(SYNC_TRIGGER_NAME)));
	rel = table_open(relid, NoLock);
	rule_objects_record(rel, get_trigger_oid(relid, SYNC_TRIGGER_NAME,
											 false), rules);
	table_close(rel, NoLock);
	carry_proofs(leaves, versions);
}

void
sync_install(Oid relid)
{
	List	   *rules = sync_list_of_relation(relid);
	SyncTriggerRow row;

	if (rules != NIL)
		replace_trigger(relid, rules);
	else if (sync_trigger_row(relid, &row))
		ddl_run(psprintf("DROP TRIGGER %s ON %s",
						 quote_identifier(SYNC_TRIGGER_NAME),
						 quoting_relation(relid)));
}
