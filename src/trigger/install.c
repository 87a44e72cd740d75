/*
 * install.c
 *		Installs the trigger of a sync, and checks that it is in force.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "row/quarantine.h"
#include "rule/expression.h"
#include "rule/recorded_calls.h"
#include "rule/relation_rules.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"
#include "trigger/install.h"
#include "trigger/rule_objects.h"

/*-------------------------------------------------------------------------
 * Checking that the trigger of a sync is in force and has the recorded rule.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_sync_problem);

/* Do other BEFORE triggers need one that fires before them? */
static bool
first_trigger_is_missing(const TableTriggers *triggers)
{
	return triggers->has_other &&
		!(triggers->has_first && triggers->first.intact &&
		  triggers->first.enabled == TRIGGER_FIRES_ALWAYS);
}

static bool
table_lacks_first_trigger(Oid relid)
{
	TableTriggers triggers;

	table_triggers_read(relid, &triggers);
	return first_trigger_is_missing(&triggers);
}

/*
 * Checks the trigger of one table of the tree: it exists, always fires, and
 * the rows are here.
 */
static char *
table_trigger_problem(Oid relid)
{
	char	   *elsewhere = table_rows_problem(relid);
	TableTriggers triggers;

	if (elsewhere)
		return elsewhere;
	table_triggers_read(relid, &triggers);
	if (!triggers.has_last && !get_rel_relispartition(relid) &&
		has_superclass(relid))
		return psprintf("table %s inherits from it and is not synced: end that with ALTER TABLE %s NO INHERIT",
						quoting_relation(relid), quoting_relation(relid));
	if (!triggers.has_last)
		return psprintf("table %s has no trigger %s: CALL tandem.migrate makes it again",
						quoting_relation(relid), SYNC_TRIGGER_NAME);
	if (triggers.last.enabled != TRIGGER_FIRES_ALWAYS)
		return psprintf("trigger is not enabled ALWAYS: ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
						quoting_relation(relid),
						quote_identifier(SYNC_TRIGGER_NAME));
	if (!triggers.last.intact)
		return psprintf("trigger %s of table %s was altered: CALL tandem.migrate makes it again",
						quote_identifier(SYNC_TRIGGER_NAME),
						quoting_relation(relid));
	if (triggers.outside)
		return psprintf("trigger %s fires outside the sync: ALTER TRIGGER %s ON %s RENAME TO a name that sorts between %s and %s",
						quote_identifier(triggers.outside),
						quote_identifier(triggers.outside),
						quoting_relation(relid), FIRST_TRIGGER_NAME,
						SYNC_TRIGGER_NAME);
	if (first_trigger_is_missing(&triggers))
		return psprintf("trigger %s of table %s, which other triggers need, is missing or altered: CALL tandem.migrate makes it again",
						quote_identifier(FIRST_TRIGGER_NAME),
						quoting_relation(relid));
	return NULL;
}

/* Checks that the arguments of the trigger contain the rule as recorded. */
static char *
trigger_args_problem(const SyncRule *rule, Relation rel)
{
	Trigger    *trigger = relation_sync_trigger(rel);
	ListCell   *lc;

	if (trigger == NULL)
		return NULL;			/* reported already */
	foreach(lc, rule_args_decode(trigger))
	{
		SyncRule   *installed = lfirst(lc);

		if (installed->id == rule->id &&
			same_strings(installed->up, rule->up) &&
			same_strings(installed->down, rule->down) &&
			same_strings(installed->old_columns, rule->old_columns) &&
			same_strings(installed->new_columns, rule->new_columns))
			return NULL;
	}
	return psprintf("trigger of table %s does not hold this sync: CALL tandem.migrate makes it again",
					quoting_relation(rule->relation));
}

typedef struct ArgsCall
{
	const SyncRule *rule;
	Relation	rel;
	char	   *problem;
} ArgsCall;

static void
check_trigger_args(void *arg)
{
	ArgsCall   *call = arg;

	call->problem = trigger_args_problem(call->rule, call->rel);
}

/* Is it still the expression that was stored? */
static void
check_no_other_call(Node *expression, const RecordedCalls *calls)
{
	OtherCall	other;

	if (recorded_calls_lack(expression, calls, &other))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("its text now means %s, which it did not when it was stored",
						other.what)));
}

static void
resolve_rule_side(Relation rel, List *names, List *texts, const char *label,
				  bool recorded, const RecordedCalls *calls)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));
		char	   *text = texts == NIL ? NULL
		: list_nth(texts, foreach_current_index(lc));

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" is gone", (char *) lfirst(lc))));
		if (text)
		{
			Node	   *expression = expression_resolve(text, rel, attnum, label);

			if (recorded)
				check_no_other_call(expression, calls);
		}
	}
}

typedef struct ResolveCall
{
	const SyncRule *rule;
	Relation	rel;
} ResolveCall;

/*
 * Resolves as the owner, whose rights apply, with the search_path with which
 * the rule is parsed when it is used.  Runs no user-defined code, since any
 * role may be asking.
 */
static void
resolve_rule_as_owner(void *arg)
{
	ResolveCall *call = arg;
	AuthorityScope scope;
	SyncTriggerRow row;
	RecordedCalls calls = {NIL, NIL};
	bool		recorded = sync_trigger_row(RelationGetRelid(call->rel), &row) &&
	recorded_calls(row.oid, &calls);

	authority_enter_owner(&scope, call->rel, "pg_catalog, pg_temp");
	authority_pin_text_forms();
	resolve_rule_side(call->rel, call->rule->old_columns, call->rule->down, "down",
					  recorded, &calls);
	resolve_rule_side(call->rel, call->rule->new_columns, call->rule->up, "up",
					  recorded, &calls);
	authority_leave(&scope);
}

/*
 * Returns a function of the rule that the owner of the table may not execute.
 */
static char *
find_forbidden_function(Relation rel)
{
	SyncTriggerRow row;
	ListCell   *lc;

	if (!sync_trigger_row(RelationGetRelid(rel), &row))
		return NULL;
	foreach(lc, rule_objects_of(row.oid))
	{
		ObjectAddress *object = lfirst(lc);

		if (object->classId == ProcedureRelationId &&
			!compat_may_execute(object->objectId, rel->rd_rel->relowner))
			return getObjectDescription(object, false);
	}
	return NULL;
}

static char *
rule_text_problem(const SyncRule *rule, Relation rel)
{
	ResolveCall call = {rule, rel};
	ErrorData  *error = quarantine_try(resolve_rule_as_owner, &call);
	char	   *forbidden;

	if (error)
		return psprintf("rule does not fit table %s: %s",
						quoting_relation(rule->relation), error->message);
	forbidden = find_forbidden_function(rel);
	return forbidden ? psprintf("the owner of table %s may not call %s: GRANT EXECUTE",
								quoting_relation(rule->relation), forbidden)
		: NULL;
}

char *
sync_rule_problem(const SyncRule *rule, bool *locked)
{
	bool		gone;
	Relation	rel = relation_open_nowait(rule->relation, &gone);
	char	   *problem;

	*locked = rel == NULL && !gone;
	if (rel == NULL)
		return gone ? pstrdup("table is gone: CALL tandem.abort ends the migration") : NULL;
	problem = rule_text_problem(rule, rel);
	table_close(rel, AccessShareLock);
	return problem;
}

char *
sync_tree_problem(Oid relid)
{
	char	   *problem = NULL;
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		problem = table_trigger_problem(lfirst_oid(lc));
		if (problem)
			break;
	}
	return problem;
}

char *
sync_trigger_problem(const SyncRule *rule)
{
	char	   *problem = NULL;
	bool		gone;
	Relation	rel = relation_open_nowait(rule->relation, &gone);

	if (rel == NULL)
		return NULL;
	problem = sync_tree_problem(rule->relation);
	if (problem == NULL)
	{
		ArgsCall	call = {rule, rel, NULL};
		ErrorData  *error = quarantine_try(check_trigger_args, &call);

		problem = error ? error->message : call.problem;
	}
	table_close(rel, AccessShareLock);
	return problem;
}

char *
sync_problem(const SyncRule *rule)
{
	bool		locked;
	char	   *problem = sync_rule_problem(rule, &locked);

	return problem ? problem : sync_trigger_problem(rule);
}

Datum
tandem_sync_problem(PG_FUNCTION_ARGS)
{
	bool		live;
	SyncRule   *rule = sync_get(PG_GETARG_INT32(0), &live);
	char	   *problem = rule ? sync_problem(rule) : NULL;

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

/*-------------------------------------------------------------------------
 * Putting the sync trigger on a table, and removing it.
 *
 * The trigger is created by a statement, as a user would do it.  So event
 * triggers see it, it is dumped, and it is cloned to all partitions, present
 * and future.
 *-------------------------------------------------------------------------
 */

static char *
create_trigger_statement(Oid relid, List *rules)
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

/* The rule of an ended migration was removed when that ended. */
static bool
rule_is_recorded(const SyncRule *installed, Oid relid)
{
	bool		live;
	SyncRule   *rule = sync_get(installed->id, &live);

	return rule && live && rule->relation == relid &&
		strcmp(rule->migration, installed->migration) == 0;
}

static void
refuse_unknown_rules(Oid relid, const SyncRule *installed)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table %s has a sync trigger of a migration that is not known here",
					quoting_relation(relid)),
			 rule_is_derived(installed)
			 ? errdetail("It computes column \"%s\" for migration \"%s\"; a restore of the table alone has brought it along.",
						 (char *) linitial(installed->new_columns),
						 installed->migration)
			 : !rule_has_new_side(installed)
			 ? errdetail("It guards column \"%s\" for migration \"%s\"; a restore of the table alone has brought it along.",
						 (char *) linitial(installed->old_columns),
						 installed->migration)
			 : errdetail("It keeps column \"%s\" equal to column \"%s\" for migration \"%s\"; a restore of the table alone has brought it along.",
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
	Relation	rel = relation_open_present(relid, AccessShareLock);
	Trigger    *trigger = relation_sync_trigger(rel);
	List	   *rules = trigger ? rule_args_decode(trigger) : NIL;
	ListCell   *lc;

	table_close(rel, AccessShareLock);
	foreach(lc, rules)
	{
		if (!rule_is_recorded(lfirst(lc), relid))
			refuse_unknown_rules(relid, lfirst(lc));
	}
}

/* Returns the versions of the triggers of all leaves; NIL if there is none. */
static List *
leaf_trigger_versions(List *leaves)
{
	List	   *versions = NIL;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, leaves)
	{
		char	   *version = sync_trigger_version(lfirst_oid(lc));

		versions = lappend(versions, version);
		found |= version != NULL;
	}
	return found ? versions : NIL;
}

static void
create_first_trigger(Oid relid)
{
	const char *table = quoting_relation(relid);
	const char *name = quote_identifier(FIRST_TRIGGER_NAME);

	ddl_run(psprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION tandem.sync_row_first()",
					 name, table));
	ddl_run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table, name));
}

static void
drop_first_trigger(Oid relid)
{
	SyncTriggerRow row;

	if (first_trigger_row(relid, &row))
		ddl_run(psprintf("DROP TRIGGER %s ON %s",
						 quote_identifier(FIRST_TRIGGER_NAME),
						 quoting_relation(relid)));
}

/*
 * If a table of the tree has other BEFORE triggers, all get the one that fires
 * first.  A partition may have had one of its own, which the server does not
 * replace.
 */
static void
install_first_trigger(Oid root)
{
	List	   *tree = table_tree(root);
	bool		missing = false;
	ListCell   *lc;

	foreach(lc, tree)
		missing |= table_lacks_first_trigger(lfirst_oid(lc));
	if (!missing)
		return;
	foreach(lc, tree)
	{
		SyncTriggerRow row;

		if (lfirst_oid(lc) != root && first_trigger_row(lfirst_oid(lc), &row) &&
			trigger_made_on(row.oid) == lfirst_oid(lc))
			drop_first_trigger(lfirst_oid(lc));
	}
	create_first_trigger(root);
}

/* Returns the search_path that the table was expanded under, or NULL. */
static char *
path_of_rules(Oid relid)
{
	List	   *rules = sync_list_of_relation(table_root(relid));

	return rules ? ((SyncRule *) linitial(rules))->search_path : NULL;
}

void
sync_install_first(Oid relid)
{
	AuthorityScope scope;
	bool		entered;

	if (!table_lacks_first_trigger(relid))
		return;
	entered = authority_enter_for(&scope, relid, path_of_rules(relid));
	if (relid == table_root(relid))
		install_first_trigger(relid);
	else
		create_first_trigger(relid);
	if (entered)
		authority_leave(&scope);
}

static void
replace_sync_trigger(Oid relid, List *rules)
{
	Relation	rel;
	List	   *leaves = table_leaves(relid);
	List	   *versions = leaf_trigger_versions(leaves);

	rel = table_open(relid, NoLock);
	rules = rule_order_sort(rules, rel);
	table_close(rel, NoLock);

	ddl_run(create_trigger_statement(relid, rules));
	ddl_run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
					 quoting_relation(relid),
					 quote_identifier(SYNC_TRIGGER_NAME)));
	install_first_trigger(relid);
	rel = table_open(relid, NoLock);
	rule_objects_record(rel, get_trigger_oid(relid, SYNC_TRIGGER_NAME,
											 false), rules);
	table_close(rel, NoLock);
	if (versions != NIL)
		step_carry_proofs(leaves, versions, leaf_trigger_versions(leaves));
}

void
sync_install(Oid relid)
{
	List	   *rules = sync_list_of_relation(relid);
	SyncTriggerRow row;

	if (rules != NIL)
		replace_sync_trigger(relid, rules);
	else
	{
		List	   *tree = table_tree(relid);
		ListCell   *lc;

		if (sync_trigger_row(relid, &row))
			ddl_run(psprintf("DROP TRIGGER %s ON %s",
							 quote_identifier(SYNC_TRIGGER_NAME),
							 quoting_relation(relid)));
		/* the root first: its clones go with it */
		foreach(lc, tree)
			drop_first_trigger(lfirst_oid(lc));
	}
}
