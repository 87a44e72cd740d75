/*
 * relation_rules.c
 *		The compiled rules of a table, cached for the session.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "optimizer/optimizer.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "rule/relation_rules.h"
#include "rule/rule_args.h"
#include "rule/rule_compile.h"

/*-------------------------------------------------------------------------
 * The order in which the rules of a table run.
 *-------------------------------------------------------------------------
 */

/* Does rule, one of rules, read a new column of other? */
static bool
rule_reads_other(const SyncRule *rule, const SyncRule *other, List *rules,
				 Relation rel)
{
	ListCell   *lc;
	Bitmapset  *read = NULL;

	foreach(lc, rule->old_columns)
		read = bms_add_member(read, get_attnum(RelationGetRelid(rel),
											   lfirst(lc)) - FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < list_length(rule->up); i++)
	{
		AttrNumber	target = get_attnum(RelationGetRelid(rel),
										list_nth(rule->new_columns, i));

		if (target > 0)
			pull_varattnos(relation_rules_parse(list_nth(rule->up, i), rel, target,
												"up", rule, rules), 1, &read);
	}
	foreach(lc, other->new_columns)
	{
		if (bms_is_member(get_attnum(RelationGetRelid(rel), lfirst(lc)) -
						  FirstLowInvalidHeapAttributeNumber, read))
			return true;
	}
	return false;
}

List *
rule_order_sort(List *rules, Relation rel)
{
	List	   *left = list_copy(rules);
	List	   *sorted = NIL;

	while (left != NIL)
	{
		SyncRule   *next = NULL;
		ListCell   *lc;

		foreach(lc, left)
		{
			SyncRule   *candidate = lfirst(lc);
			bool		ready = true;
			ListCell   *other;

			foreach(other, left)
			{
				if (lfirst(other) != candidate &&
					rule_reads_other(candidate, lfirst(other), rules, rel))
					ready = false;
			}
			if (ready)
			{
				next = candidate;
				break;
			}
		}
		if (next == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("syncs of table \"%s\" depend on each other in a circle",
							RelationGetRelationName(rel)),
					 errhint("Let the new column of each sync be read only by later ones; see SELECT * FROM tandem.syncs;")));
		sorted = lappend(sorted, next);
		left = list_delete_ptr(left, next);
	}
	return sorted;
}

/*-------------------------------------------------------------------------
 * What rules have to do with each other.
 *-------------------------------------------------------------------------
 */

static bool
columns_intersect(const int *a, int na, const int *b, int nb)
{
	for (int i = 0; i < na; i++)
	{
		for (int j = 0; j < nb; j++)
		{
			if (a[i] == b[j])
				return true;
		}
	}
	return false;
}

bool
rule_sides_share_column(const RuleSide *a, const RuleSide *b)
{
	return columns_intersect(a->columns, a->ncolumns, b->columns, b->ncolumns);
}

bool
rule_side_reads(const RuleSide *side, const RuleSide *other)
{
	return columns_intersect(side->sources, side->nsources,
							 other->columns, other->ncolumns);
}

/*-------------------------------------------------------------------------
 * The sync trigger of a table.
 *-------------------------------------------------------------------------
 */

/*
 * The result points into the relcache: use it before anything else is called.
 */
static const Trigger *
relcache_sync_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (strcmp(triggers->triggers[i].tgname, SYNC_TRIGGER_NAME) == 0)
			return &triggers->triggers[i];
	}
	return NULL;
}

bool
relation_has_sync_trigger(Relation rel)
{
	return relcache_sync_trigger(rel) != NULL;
}

/*
 * A sync trigger has no column list, WHEN clause or transition tables to copy.
 */
Trigger *
relation_sync_trigger(Relation rel)
{
	const Trigger *cached = relcache_sync_trigger(rel);
	Trigger    *copy;

	if (cached == NULL)
		return NULL;
	copy = palloc(sizeof(Trigger));
	*copy = *cached;
	copy->tgname = pstrdup(cached->tgname);
	copy->tgnattr = 0;
	copy->tgattr = NULL;
	copy->tgqual = copy->tgoldtable = copy->tgnewtable = NULL;
	copy->tgargs = palloc(sizeof(char *) * Max(cached->tgnargs, 1));
	for (int i = 0; i < cached->tgnargs; i++)
		copy->tgargs[i] = pstrdup(cached->tgargs[i]);
	return copy;
}

/*-------------------------------------------------------------------------
 * The compiled rules cached by the session, by relation and trigger.
 *
 * They become stale when the relation changes, which a callback tells, or when
 * a function that a plan uses changes, which CachedExpression tells.  The next
 * statement compiles them again, or finds those of another partition that fit.
 * A statement that is still using stale rules keeps them alive; since it holds
 * a lock on the relation, its rules cannot have been replaced.
 *
 * Neither a callback nor the end of a transaction may look up whether the
 * relation still exists.  So what is stale is always dropped at the end of the
 * transaction, and made again when needed.
 *-------------------------------------------------------------------------
 */

typedef struct CacheEntry
{
	Oid			relid;
	TableRules *tables;			/* head of the chain */
} CacheEntry;

static HTAB *cache = NULL;
static dlist_head stale = DLIST_STATIC_INIT(stale);
static dlist_head shared = DLIST_STATIC_INIT(shared);

/* Called from invalidation callbacks at any time, so it only marks. */
static void
mark_rules_stale(TableRules *table)
{
	if (table->valid)
		dlist_push_tail(&stale, &table->stale);
	table->valid = false;
}

static void
rules_relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(cache, &relid, HASH_FIND, NULL);
		for (TableRules *t = entry ? entry->tables : NULL; t; t = t->next)
			mark_rules_stale(t);
		return;
	}
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (TableRules *t = entry->tables; t; t = t->next)
			mark_rules_stale(t);
	}
}

static void
free_table_rules(TableRules *table)
{
	RelationRules *rules = table->rules;

	if (table->keys_context)
		MemoryContextDelete(table->keys_context);
	pfree(table->unfilled);
	pfree(table);
	if (--rules->ntables > 0)
		return;
	dlist_delete(&rules->shared);
	relation_rules_free(rules);
}

/* Takes it out of the cache.  It is freed now, or by its last user. */
static void
drop_cached_rules(TableRules *table)
{
	CacheEntry *entry = hash_search(cache, &table->relid, HASH_FIND, NULL);
	TableRules **link = &entry->tables;

	while (*link != table)
		link = &(*link)->next;
	*link = table->next;
	if (entry->tables == NULL)
		(void) hash_search(cache, &table->relid, HASH_REMOVE, NULL);
	if (!table->valid)
		dlist_delete(&table->stale);
	table->dropped = true;
	if (table->users == 0)
		free_table_rules(table);
}

static void
drop_stale_rules(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (!dlist_is_empty(&stale))
		drop_cached_rules(dlist_head_element(TableRules, stale, &stale));
}

static void
create_rule_cache(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = CacheMemoryContext;
	cache = hash_create("tandem rules", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(rules_relation_changed, (Datum) 0);
	RegisterXactCallback(drop_stale_rules, NULL);
}

static TableRules *
find_cached_rules(Oid relid, Oid trigger)
{
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	for (TableRules *t = entry ? entry->tables : NULL; t; t = t->next)
	{
		if (t->trigger == trigger)
			return t;
	}
	return NULL;
}

static void
keep_rules_in_cache(TableRules *table)
{
	bool		found;
	CacheEntry *entry = hash_search(cache, &table->relid, HASH_ENTER, &found);

	table->next = found ? entry->tables : NULL;
	entry->tables = table;
}

/* Returns the rules of other partitions that fit this one, or NULL. */
static RelationRules *
find_shared_rules(Relation rel, const Trigger *trigger)
{
	RecordedCalls calls = {NIL, NIL};
	bool		recorded;
	Oid			root;
	dlist_iter	iter;

	if (!rel->rd_rel->relispartition)
		return NULL;
	root = relation_rules_root(rel, trigger, &recorded, &calls);
	dlist_foreach(iter, &shared)
	{
		RelationRules *rules = dlist_container(RelationRules, shared, iter.cur);

		if (rules->root == root && relation_rules_are_valid(rules) &&
			rules->calls_recorded == recorded &&
			equal(rules->calls.functions, calls.functions) &&
			equal(rules->calls.types, calls.types) &&
			relation_rules_fit(rules, rel, trigger))
			return rules;
	}
	return NULL;
}

static TableRules *
make_table_rules(RelationRules *rules, Relation rel, const Trigger *trigger)
{
	TableRules *table = MemoryContextAllocZero(rules->context, sizeof(TableRules));

	table->unfilled = MemoryContextAllocZero(rules->context,
											 sizeof(Unfilled) * rules->nrules);
	table->rules = rules;
	table->relid = RelationGetRelid(rel);
	table->trigger = trigger->tgoid;
	table->valid = true;
	if (rules->ntables++ == 0)
		dlist_push_head(&shared, &rules->shared);
	return table;
}

/*
 * Reads the fill marks.  The table is in the cache already: a change of it that
 * is noticed meanwhile is not lost.
 */
static void
read_fill_marks(TableRules *table, Relation rel)
{
	const RelationRules *rules = table->rules;

	for (int i = 0; i < rules->nrules; i++)
		table->unfilled[i] = rule_has_new_side(rules->rules[i].source)
			? fill_mark_unfilled(rules->rules[i].source, rel, table->trigger)
			: UNFILLED_NONE;
}

static TableRules *
cache_rules(Relation rel, const Trigger *trigger)
{
	RelationRules *rules = find_shared_rules(rel, trigger);
	TableRules *table;
	TableRules *meanwhile;

	/*
	 * Between finding or compiling the rules and caching them, no lookup may
	 * process invalidation messages: they would not be marked stale.
	 */
	if (rules == NULL)
		rules = relation_rules_compile(rel, trigger);
	table = make_table_rules(rules, rel, trigger);
	/* compiling may have run functions that compiled the same rules */
	meanwhile = find_cached_rules(table->relid, table->trigger);
	if (meanwhile)
		drop_cached_rules(meanwhile);
	keep_rules_in_cache(table);
	table->users = 1;
	PG_TRY();
	{
		read_fill_marks(table, rel);
	}
	PG_CATCH();
	{
		table->users = 0;
		if (table->dropped)
			free_table_rules(table);
		else
			drop_cached_rules(table);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return table;
}

TableRules *
relation_rules_get(Relation rel, const Trigger *trigger)
{
	TableRules *table;

	if (cache == NULL)
		create_rule_cache();
	table = find_cached_rules(RelationGetRelid(rel), trigger->tgoid);
	if (table && table->valid && relation_rules_are_valid(table->rules))
	{
		table->users++;
		return table;
	}
	if (table)
		drop_cached_rules(table);
	return cache_rules(rel, trigger);
}

void
relation_rules_release(TableRules *table)
{
	table->users--;
	if (table->users == 0 && table->dropped)
		free_table_rules(table);
}

bool
compiled_rule_tells_nulls(const CompiledRule *rule)
{
	return rule->old_side.is_complete && rule_has_new_side(rule->source);
}
