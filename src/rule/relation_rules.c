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
 * a function that a plan uses changes, which CachedExpression tells.  The next statement compiles them again.  A statement that is still
 * using stale rules keeps them alive; since it holds a lock on the relation,
 * its rules cannot have been replaced.
 *
 * Neither a callback nor the end of a transaction may look up whether the
 * relation still exists.  So stale rules are always dropped at the end
 * of the transaction, and compiled again when needed.
 *-------------------------------------------------------------------------
 */

typedef struct CacheEntry
{
	Oid			relid;
	RelationRules *rules;		/* head of the chain */
} CacheEntry;

static HTAB *cache = NULL;
static dlist_head stale = DLIST_STATIC_INIT(stale);

/* Called from invalidation callbacks at any time, so it only marks. */
static void
mark_rules_stale(RelationRules *rules)
{
	if (rules->valid)
		dlist_push_tail(&stale, &rules->stale);
	rules->valid = false;
}

static void
rules_relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(cache, &relid, HASH_FIND, NULL);
		for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
			mark_rules_stale(r);
		return;
	}
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (RelationRules *r = entry->rules; r; r = r->next)
			mark_rules_stale(r);
	}
}

/* Takes rules out of the cache.  They are freed now, or by their last user. */
static void
drop_cached_rules(RelationRules *rules)
{
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_FIND, NULL);
	RelationRules **link = &entry->rules;

	while (*link != rules)
		link = &(*link)->next;
	*link = rules->next;
	if (entry->rules == NULL)
		(void) hash_search(cache, &rules->relid, HASH_REMOVE, NULL);
	if (!rules->valid)
		dlist_delete(&rules->stale);
	rules->dropped = true;
	if (rules->users == 0)
		relation_rules_free(rules);
}

static void
drop_stale_rules(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (!dlist_is_empty(&stale))
		drop_cached_rules(dlist_head_element(RelationRules, stale, &stale));
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

static RelationRules *
find_cached_rules(Oid relid, Oid trigger)
{
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
	{
		if (r->trigger == trigger)
			return r;
	}
	return NULL;
}

static void
keep_rules_in_cache(RelationRules *rules)
{
	bool		found;
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_ENTER, &found);

	rules->next = found ? entry->rules : NULL;
	entry->rules = rules;
}

RelationRules *
relation_rules_get(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			trigger_oid = trigger->tgoid;
	RelationRules *rules;
	RelationRules *meanwhile;

	if (cache == NULL)
		create_rule_cache();
	rules = find_cached_rules(relid, trigger_oid);
	if (rules == NULL || !relation_rules_are_valid(rules))
	{
		if (rules)
			drop_cached_rules(rules);

		/*
		 * Between compiling and caching the rules, no lookup may process
		 * invalidation messages: they would not be marked stale.
		 */
		rules = relation_rules_compile(rel, trigger);
		/* compiling may have run functions that compiled the same rules */
		meanwhile = find_cached_rules(relid, trigger_oid);
		if (meanwhile)
			drop_cached_rules(meanwhile);
		keep_rules_in_cache(rules);
	}
	rules->users++;
	return rules;
}

void
relation_rules_release(RelationRules *rules)
{
	rules->users--;
	if (rules->users == 0 && rules->dropped)
		relation_rules_free(rules);
}
