/*
 * health.c
 *		Whether the trigger of a sync is in force and says what it should.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "commands/trigger.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/lock.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/sql_function.h"
#include "ddl/health.h"
#include "ddl/partitions.h"
#include "sync/quarantine.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

SQL_FUNCTION(tandem_sync_problem);

/* The trigger of one table of the tree: there, and always fired? */
static char *
trigger_problem(Oid relid)
{
	SyncTriggerRow row;
	char	   *later;

	if (!sync_trigger_row(relid, &row) && !get_rel_relispartition(relid) &&
		has_superclass(relid))
		return psprintf("table %s inherits from it and is not synced: end that with ALTER TABLE %s NO INHERIT",
						quoting_relation(relid), quoting_relation(relid));
	if (!sync_trigger_row(relid, &row))
		return psprintf("table %s has no trigger %s: CALL tandem.migrate makes it again",
						quoting_relation(relid), SYNC_TRIGGER_NAME);
	if (row.enabled != TRIGGER_FIRES_ALWAYS)
		return psprintf("trigger is not enabled ALWAYS: ALTER TABLE %s ENABLE ALWAYS TRIGGER %s",
						quoting_relation(relid),
						quote_identifier(SYNC_TRIGGER_NAME));
	if (!row.intact)
		return psprintf("trigger %s of table %s is not as the sync made it: CALL tandem.migrate makes it again",
						quote_identifier(SYNC_TRIGGER_NAME),
						quoting_relation(relid));
	later = trigger_after_sync(relid);
	if (later)
		return psprintf("trigger %s fires after the sync: ALTER TRIGGER %s ON %s RENAME TO a name that sorts before %s",
						later, quote_identifier(later),
						quoting_relation(relid), SYNC_TRIGGER_NAME);
	return NULL;
}

/* Whether the arguments of the trigger hold the rule as it is recorded. */
static char *
args_problem(const SyncRule *rule, Relation rel)
{
	Trigger    *trigger = relation_sync_trigger(rel);
	ListCell   *lc;

	if (trigger == NULL)
		return NULL;			/* said already */
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
check_args(void *arg)
{
	ArgsCall   *call = arg;

	call->problem = args_problem(call->rule, call->rel);
}

static void
parse_side(Relation rel, List *names, List *texts, const char *label)
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
			(void) relation_rules_parse(text, rel, attnum, label);
	}
}

typedef struct ParseCall
{
	const SyncRule *rule;
	Relation	rel;
} ParseCall;

static void
parse_rule(void *arg)
{
	ParseCall  *call = arg;

	parse_side(call->rel, call->rule->old_columns, call->rule->down, "down");
	parse_side(call->rel, call->rule->new_columns, call->rule->up, "up");
}

static char *
rule_problem(const SyncRule *rule, Relation rel, bool rights)
{
	ParseCall	call = {rule, rel};
	ErrorData  *error = quarantine_try(parse_rule, &call);

	if (error && !rights &&
		error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return NULL;
	return error ? psprintf("rule does not fit table %s: %s",
							quoting_relation(rule->relation), error->message)
		: NULL;
}

/* Opens the table of the rule; NULL: it is gone, or others have it locked. */
static Relation
open_without_waiting(const SyncRule *rule, bool *gone)
{
	*gone = !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(rule->relation));
	if (*gone)
		return NULL;
	/* not tried for: that fails because of who is queued for the table */
	if (lock_is_ours(rule->relation))
		return table_open(rule->relation, AccessShareLock);
	if (!ConditionalLockRelationOid(rule->relation, AccessShareLock))
		return NULL;
	return table_open(rule->relation, NoLock);
}

char *
sync_rule_problem(const SyncRule *rule, bool rights)
{
	bool		gone;
	Relation	rel = open_without_waiting(rule, &gone);
	char	   *problem;

	if (rel == NULL)
		return gone ? pstrdup("table is gone: CALL tandem.abort ends the migration") : NULL;
	problem = rule_problem(rule, rel, rights);
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
		problem = trigger_problem(lfirst_oid(lc));
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
	Relation	rel = open_without_waiting(rule, &gone);

	if (rel == NULL)
		return NULL;
	problem = sync_tree_problem(rule->relation);
	if (problem == NULL)
	{
		ArgsCall	call = {rule, rel, NULL};
		ErrorData  *error = quarantine_try(check_args, &call);

		problem = error ? error->message : call.problem;
	}
	table_close(rel, AccessShareLock);
	return problem;
}

char *
sync_problem(const SyncRule *rule)
{
	char	   *problem = sync_rule_problem(rule, true);

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
