/*
 * rule_uses.c
 *		What the result of a rule depends on besides its text.
 *
 * verify proves rows by the functions, types and so on that are there when it
 * runs.  To change one neither changes the trigger nor fires it, so a proof
 * keeps this fingerprint, and code that relies on it compares.  A fingerprint of
 * what they are, rather than the transaction that wrote them, is not changed by
 * a GRANT or by the same script run again.
 *
 * expression_uses finds what a rule uses itself; tandem._fingerprint continues
 * from there through the catalogs.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/objectaddress.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "rule/expression_uses.h"
#include "rule/rule_uses.h"
#include "rule/whole_row.h"

/* before what changed_use_last returns; a fingerprint does not contain it */
#define CHANGE_MARK " changed in "

typedef struct Uses
{
	List	   *objects;		/* ObjectAddress * */
	StringInfoData calls;		/* which functions each expression calls: a
								 * name may come to mean another one */
	bool		whole_row;		/* does an expression read it? */
} Uses;

/* texts has an expression or NULL for each column, or is NIL. */
static void
add_side_uses(Uses *uses, Relation rel, List *names, List *texts,
			  const char *label)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));
		char	   *text = texts == NIL ? NULL
		: list_nth(texts, foreach_current_index(lc));
		Form_pg_attribute att;
		Node	   *expression;

		if (attnum <= 0)
			continue;			/* sync_problem tells */
		att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		uses->objects = expression_uses_of_column(uses->objects, att->atttypid,
												  att->attcollation);
		if (text == NULL)
			continue;
		expression = expression_resolve(text, rel, attnum, label);
		uses->objects = expression_uses(uses->objects, expression);
		uses->whole_row |= whole_row_is_read(expression);
		if (expression_asks_for_user(expression))
			appendStringInfo(&uses->calls, "%s;",
							 GetUserNameFromId(authority_owner_of(RelationGetRelid(rel)), false));
		appendStringInfo(&uses->calls, "%s;", expression_calls(expression));
	}
}

/* The one that a run has found last: many of its tables may use the same. */
static struct
{
	char	   *objects;		/* NULL if there is none */
	char	   *text;
	int64		found_at;
} last_fingerprint;

void
rule_uses_look_again(void)
{
	if (last_fingerprint.objects == NULL)
		return;
	pfree(last_fingerprint.objects);
	pfree(last_fingerprint.text);
	last_fingerprint.objects = NULL;
}

static void
keep_fingerprint(const char *objects, const char *text)
{
	rule_uses_look_again();
	last_fingerprint.text = MemoryContextStrdup(TopMemoryContext, text);
	last_fingerprint.found_at = clock_now();
	last_fingerprint.objects = MemoryContextStrdup(TopMemoryContext, objects);
}

static char *
find_fingerprint(const Uses *uses, List *classes, List *oids)
{
	TandemQuery query;

	/* pg_get_constraintdef takes one, within a query that has a snapshot */
	if (!FirstSnapshotSet)
		(void) GetTransactionSnapshot();
	query_begin(&query);
	authority_pin_catalog_forms();
	authority_pin_uncompiled();
	authority_pin_small_tables();
	query_oid_list(&query, classes);
	query_oid_list(&query, oids);
	query_text(&query, uses->calls.data);
	return query_end_text(&query, query_run_latest(&query, "SELECT f FROM tandem._fingerprint($1, $2, $3) f"));
}

/* Of the same objects, as it was at most for_ms ago. */
static char *
fingerprint_of(const Uses *uses, int for_ms)
{
	StringInfoData key;
	List	   *classes = NIL;
	List	   *oids = NIL;
	char	   *found;
	ListCell   *lc;

	initStringInfo(&key);
	foreach(lc, uses->objects)
	{
		const ObjectAddress *object = lfirst(lc);

		classes = lappend_oid(classes, object->classId);
		oids = lappend_oid(oids, object->objectId);
		appendStringInfo(&key, "%u %u;", object->classId, object->objectId);
	}
	appendStringInfoString(&key, uses->calls.data);
	if (for_ms > 0 && last_fingerprint.objects &&
		strcmp(last_fingerprint.objects, key.data) == 0 &&
		clock_ms_since(last_fingerprint.found_at) < for_ms)
		return pstrdup(last_fingerprint.text);
	found = find_fingerprint(uses, classes, oids);
	if (for_ms > 0)
		keep_fingerprint(key.data, found);
	return found;
}

/*
 * A rule that is made later hides its new columns from the whole row that
 * these rules read, until it is gone.
 */
static char *
unseen_in_whole_row(Relation rel, List *rules)
{
	List	   *all = sync_list_of_relation(RelationGetRelid(rel));
	List	   *unseen = NIL;
	ListCell   *lc;

	foreach(lc, rules)
		unseen = list_concat(unseen, whole_row_unseen(lfirst(lc), all, true));
	return text_joined(unseen, "", ", ");
}

static char *
uses_of_rules(Relation rel, List *rules, bool only_down, int for_ms)
{
	Uses		uses = {0};
	AuthorityScope scope;
	ListCell   *lc;

	initStringInfo(&uses.calls);
	authority_enter_owner(&scope, rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		add_side_uses(&uses, rel, rule->old_columns, rule->down, "down");
		if (!only_down)
			add_side_uses(&uses, rel, rule->new_columns, rule->up, "up");
	}
	authority_leave(&scope);
	if (!only_down && uses.whole_row)
		return psprintf("%s without %s", fingerprint_of(&uses, for_ms),
						unseen_in_whole_row(rel, rules));
	return fingerprint_of(&uses, for_ms);
}

char *
rule_uses(Relation rel, List *rules, bool only_down)
{
	return uses_of_rules(rel, rules, only_down, 0);
}

typedef struct UsesCall
{
	Relation	rel;
	int			migration_id;
	int			sync;			/* of this rule alone, or 0 */
	int			for_ms;
	char	   *uses;
} UsesCall;

static void
find_uses(void *arg)
{
	UsesCall   *call = arg;
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_table(call->migration_id,
								   RelationGetRelid(call->rel)))
	{
		SyncRule   *rule = lfirst(lc);

		if (call->sync == 0 || call->sync == rule->id)
			rules = lappend(rules, rule);
	}
	call->uses = uses_of_rules(call->rel, rules, false, call->for_ms);
}

static char *
uses_with_changes(Oid relid, int migration_id, int sync, int for_ms)
{
	bool		gone;
	UsesCall	call = {
		.rel = relation_open_nowait(table_root(relid), &gone),
		.migration_id = migration_id,
		.sync = sync,
		.for_ms = for_ms
	};
	ErrorData  *error;
	char	   *changed;

	if (call.rel == NULL)
		return NULL;
	error = subtransaction_try(find_uses, &call);
	if (error && !error_is_of_row(error))
		ReThrowError(error);
	table_close(call.rel, AccessShareLock);
	changed = call.uses ? changed_use_last(migration_id) : NULL;
	return changed ? psprintf("%s" CHANGE_MARK "%s", call.uses, changed)
		: call.uses;
}

char *
rule_uses_of_table(Oid relid, int migration_id)
{
	return uses_with_changes(relid, migration_id, 0, 0);
}

void
known_uses_init(KnownUses *known)
{
	memset(known, 0, sizeof(KnownUses));
	known->context = CurrentMemoryContext;
}

const char *
known_uses_of_table(KnownUses *known, Oid relid, int migration_id, int for_ms)
{
	Oid			root = table_root(relid);
	char	   *uses;

	if (known->found_at && known->root == root &&
		known->migration_id == migration_id &&
		clock_ms_since(known->found_at) < for_ms)
		return known->uses;
	uses = uses_with_changes(root, migration_id, 0, for_ms);
	if (known->uses)
		pfree(known->uses);
	known->uses = uses ? MemoryContextStrdup(known->context, uses) : NULL;
	known->root = root;
	known->migration_id = migration_id;
	known->found_at = clock_now();
	return known->uses;
}

bool
rule_uses_note_change(const char *uses)
{
	return uses && strstr(uses, CHANGE_MARK) != NULL;
}

bool
rule_uses_changed(const char *was, const char *is)
{
	return is != NULL && (was == NULL || strcmp(was, is) != 0);
}

static size_t
definition_length(const char *uses)
{
	const char *mark = strstr(uses, CHANGE_MARK);

	return mark ? (size_t) (mark - uses) : strlen(uses);
}

bool
rule_uses_definition_changed(const char *was, const char *is)
{
	return was == NULL || is == NULL ||
		definition_length(was) != definition_length(is) ||
		strncmp(was, is, definition_length(is)) != 0;
}

char *
rule_uses_of_derived(const SyncRule *rule, bool with_changes, int for_ms)
{
	char	   *uses = uses_with_changes(rule->relation, rule->migration_id, rule->id,
										 for_ms);

	return uses && !with_changes ? pnstrdup(uses, definition_length(uses)) : uses;
}

bool
rule_uses_of_derived_changed(const SyncRule *rule)
{
	char	   *uses = rule_uses_of_derived(rule, true, 0);

	return rule->uses ? rule_uses_changed(rule->uses, uses)
		: rule_uses_note_change(uses);
}
