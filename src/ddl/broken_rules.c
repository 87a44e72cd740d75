/*
 * broken_rules.c
 *		Rules whose text a DDL command has made meaningless.
 *
 * The objects that a rule uses are held against what they were before this
 * transaction.  Where a name, a right or a shape differs the rule is resolved
 * again, which tells whether it still means something; and if it does not, its
 * names are looked for among those that the objects had before, which tells
 * whether it did.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/query.h"
#include "core/quoting.h"
#include "ddl/broken_rules.h"
#include "ddl/broken_steps.h"
#include "ddl/guard_report.h"
#include "ddl/health.h"
#include "ddl/named_in.h"
#include "ddl/object_state.h"
#include "ddl/partitions.h"
#include "ddl/rule_objects.h"
#include "sync/quarantine.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

/* What the rules of a table use, now and before. */
typedef struct RuleUse
{
	Oid			relid;
	Oid			owner;
	Oid			owner_before;
	List	   *now;			/* of struct ObjectState, one beside the other */
	List	   *before;
} RuleUse;

static Oid
owner_of(Oid relid, bool before)
{
	static const char *const sql = "SELECT relowner FROM pg_class WHERE oid = $1";
	TandemQuery query;
	Oid			owner = InvalidOid;

	query_begin(&query);
	query_oid(&query, relid);
	if ((before ? query_run_before(&query, sql) : query_run_latest(&query, sql)) > 0)
		owner = query_get_oid(0, 1);
	query_end(&query);
	return owner;
}

static void
read_use(RuleUse *use, Oid relid, List *objects)
{
	use->relid = relid;
	use->owner = owner_of(relid, false);
	use->owner_before = owner_of(relid, true);
	if (!OidIsValid(use->owner_before))
		use->owner_before = use->owner;
	use->now = object_states(objects, use->owner, false);
	use->before = object_states(objects, use->owner_before, true);
}

static bool
is_changed(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		if (!object_state_equal(lfirst(before), lfirst(now)))
			return true;
	}
	return false;
}

/* Whether whoever owns what has changed has let the table's owner in by name. */
static bool
is_granted(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);
		ListCell   *lc;

		if (object_state_equal(was, lfirst(now)))
			continue;
		if (was->granted || !was->exists || was->object.objectId == use->relid)
			return true;
		foreach(lc, use->before)
		{
			ObjectState *schema = lfirst(lc);

			if (schema->object.classId == NamespaceRelationId &&
				schema->granted && was->schema &&
				strcmp(schema->name, was->schema) == 0)
				return true;
		}
	}
	return false;
}

/*
 * What the owner has lost.  Of a table that is given away only what is needed
 * for sure: functions, schemas, and sequences, which are named to be counted up.
 */
static char *
lost_right(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);
		char	   *right = object_state_lost_right(was, lfirst(now));

		if (right == NULL || !((ObjectState *) lfirst(now))->exists)
			continue;
		if (use->owner != use->owner_before &&
			was->object.classId == RelationRelationId &&
			get_rel_relkind(was->object.objectId) != RELKIND_SEQUENCE)
			continue;
		return psprintf("the owner of table %s, role %s, no longer has %s on %s",
						quoting_relation(use->relid),
						quote_identifier(GetUserNameFromId(use->owner, false)),
						right, getObjectDescription(&was->object, false));
	}
	return NULL;
}

/*
 * Whether an object that the trigger uses had this name: one of a schema, or if
 * that is NULL one of a class without, columns among it.  One that this
 * transaction has made was there as it was named.
 */
static bool
had_name(const RuleUse *use, Oid class_oid, const char *schema, const char *name)
{
	ListCell   *before;
	ListCell   *now;

	forboth(before, use->before, now, use->now)
	{
		ObjectState *was = lfirst(before);

		if (!was->exists && ((ObjectState *) lfirst(now))->exists)
			return true;
		if (!was->exists)
			continue;			/* of a class without names, as casts */
		if (strcmp(was->name, name) != 0)
			continue;
		if (schema ? was->schema && strcmp(was->schema, schema) == 0
			: was->schema == NULL && was->object.classId == class_oid)
			return true;
	}
	return false;
}

/* Without a schema, or in pg_catalog, it is one of the server's own. */
static bool
objects_were_there(List *objects, const RuleUse *use)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		List	   *names = lfirst(lc);
		int			parts = list_length(names);
		const char *schema = parts > 1 ? strVal(list_nth(names, parts - 2)) : NULL;

		if (schema && strcmp(schema, "pg_catalog") != 0 &&
			!had_name(use, InvalidOid, schema, strVal(llast(names))))
			return false;
	}
	return true;
}

static bool
names_were_there(List *names, const RuleUse *use, Oid class_oid)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (!had_name(use, class_oid, NULL, lfirst(lc)))
			return false;
	}
	return true;
}

/* The owner of the table had what the text needs to be read and run. */
static bool
rights_were_there(const char *text, const RuleUse *use)
{
	ListCell   *lc;

	foreach(lc, use->before)
	{
		ObjectState *was = lfirst(lc);

		if (!was->exists)
			continue;
		if (was->object.classId == ProcedureRelationId &&
			!object_state_has_right(was, "EXECUTE"))
			return false;
		if (was->object.classId == NamespaceRelationId &&
			named_in(text, was->name) && !object_state_has_right(was, "USAGE"))
			return false;
	}
	return true;
}

static bool
text_made_sense(const char *text, const RuleUse *use)
{
	NamesInExpression names = {NIL, NIL, NIL};

	names_in_expression(text, &names);
	return objects_were_there(names.objects, use) &&
		names_were_there(names.columns, use, RelationRelationId) &&
		names_were_there(names.schemas, use, NamespaceRelationId) &&
		rights_were_there(text, use);
}

typedef struct SenseCall
{
	const SyncRule *rule;
	const RuleUse *use;
	bool		made_sense;
} SenseCall;

static void
look_for_sense(void *arg)
{
	SenseCall  *call = arg;
	ListCell   *lc;

	if (!names_were_there(call->rule->old_columns, call->use, RelationRelationId) ||
		!names_were_there(call->rule->new_columns, call->use, RelationRelationId))
		return;
	foreach(lc, list_concat_copy(call->rule->up, call->rule->down))
	{
		if (lfirst(lc) && !text_made_sense(lfirst(lc), call->use))
			return;
	}
	call->made_sense = true;
}

/* Whether the rule was whole before this transaction. */
static bool
made_sense(const SyncRule *rule, const RuleUse *use)
{
	SenseCall	call = {rule, use, false};

	(void) quarantine_try(look_for_sense, &call);
	return call.made_sense;
}

/* While others have the table locked: a name that the rule has and nothing else. */
static char *
name_gone(const SyncRule *rule, const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;
	ListCell   *lc;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);

		if (!was->exists || object_state_equal(was, lfirst(now)))
			continue;
		foreach(lc, list_concat_copy(rule->up, rule->down))
		{
			if (lfirst(lc) && named_in(lfirst(lc), was->name))
				return psprintf("rule of table %s, which is locked now, names \"%s\"",
								quoting_relation(rule->relation), was->name);
		}
	}
	return NULL;
}

static char *
damage_of(const SyncRule *rule, const RuleUse *use)
{
	bool		locked = false;
	char	   *problem = lost_right(use);

	if (problem == NULL)
		problem = sync_rule_problem(rule, &locked);
	if (problem == NULL && locked)
		problem = name_gone(rule, use);
	return problem && made_sense(rule, use) ? problem : NULL;
}

static void
check_rules_of(Oid relid, const DdlEvent *event)
{
	List	   *rules = sync_list_of_relation(relid);
	SyncTriggerRow row;
	RuleUse		use;
	ListCell   *lc;

	if (rules == NIL || !sync_trigger_row(relid, &row))
		return;
	read_use(&use, relid, rule_objects_of(row.oid));
	if (!is_changed(&use))
		return;
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem = damage_of(rule, &use);

		if (problem)
			guard_refuse_or_warn(event->tag, rule->migration, relid, problem,
								 is_granted(&use));
	}
}

void
broken_rules_check_dropped(Oid relid, CommandTag tag)
{
	List	   *rules = sync_list_of_relation(table_root(relid));
	SyncRule   *rule = rules == NIL ? NULL : linitial(rules);
	SyncTriggerRow row;
	RuleUse		use;

	if (rule == NULL || sync_trigger_row(relid, &row))
		return;
	read_use(&use, rule->relation, rule_objects_before(rule->relation));
	guard_refuse_or_warn(tag, rule->migration, rule->relation,
						 psprintf("trigger %s of table %s is gone",
								  quote_identifier(SYNC_TRIGGER_NAME),
								  quoting_relation(relid)),
						 is_granted(&use));
}

void
broken_rules_check(const DdlEvent *event)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, event->objects)
		tables = list_concat_unique_oid(tables, rule_objects_users(lfirst(lc)));
	foreach(lc, tables)
		check_rules_of(lfirst_oid(lc), event);
	broken_steps_check(event);
}

void
broken_rules_check_roles(const DdlEvent *event, List *roles)
{
	ListCell   *lc;
	ListCell   *role;

	foreach(lc, sync_relations_live())
	{
		Oid			owner = owner_of(lfirst_oid(lc), false);

		foreach(role, roles)
		{
			if (OidIsValid(owner) && has_privs_of_role(owner, lfirst_oid(role)))
			{
				check_rules_of(lfirst_oid(lc), event);
				break;
			}
		}
	}
}
