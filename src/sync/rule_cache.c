/*
 * rule_cache.c
 *		The compiled rules that a session keeps, by relation, trigger and user.
 *
 * A change of the relation or of the role, by callbacks, or of a function that
 * a planned expression uses, as CachedExpression tells, makes them stale; the
 * next statement compiles again.  Statements that still work with stale ones keep
 * them alive; their lock on the relation says that its rules have not changed.
 *
 * Whether the relation or the role is still there cannot be asked in a callback,
 * nor at the end of a transaction.  So whatever is stale then is given back,
 * and compiled again if it is wanted again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "sync/rule_cache.h"

typedef struct CacheEntry
{
	Oid			relid;
	RelationRules *rules;		/* the first of a chain */
} CacheEntry;

static HTAB *cache = NULL;
static dlist_head stale = DLIST_STATIC_INIT(stale);

/* Runs at any time: only marks. */
static void
mark_stale(RelationRules *rules)
{
	if (rules->current)
		dlist_push_tail(&stale, &rules->stale);
	rules->current = false;
}

static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(cache, &relid, HASH_FIND, NULL);
		for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
			mark_stale(r);
		return;
	}
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (RelationRules *r = entry->rules; r; r = r->next)
			mark_stale(r);
	}
}

static void
role_changed(Datum arg, int cache_id, uint32 hash)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (RelationRules *r = entry->rules; r; r = r->next)
		{
			if (hash == 0 || r->role_hash == hash)
				mark_stale(r);
		}
	}
}

/* Takes rules from the cache, and frees them, or lets their last user do that. */
static void
drop_rules(RelationRules *rules)
{
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_FIND, NULL);
	RelationRules **link = &entry->rules;

	while (*link != rules)
		link = &(*link)->next;
	*link = rules->next;
	if (entry->rules == NULL)
		(void) hash_search(cache, &rules->relid, HASH_REMOVE, NULL);
	if (!rules->current)
		dlist_delete(&rules->stale);
	rules->dropped = true;
	if (rules->users == 0)
		relation_rules_free(rules);
}

static void
drop_stale(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (!dlist_is_empty(&stale))
		drop_rules(dlist_head_element(RelationRules, stale, &stale));
}

static void
create_cache(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = CacheMemoryContext;
	cache = hash_create("tandem rules", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, role_changed, (Datum) 0);
	RegisterXactCallback(drop_stale, NULL);
}

static RelationRules *
find_rules(Oid relid, Oid trigger, Oid userid)
{
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
	{
		if (r->trigger == trigger && r->userid == userid)
			return r;
	}
	return NULL;
}

static void
keep_rules(RelationRules *rules, uint32 role_hash)
{
	bool		found;
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_ENTER, &found);

	rules->role_hash = role_hash;
	rules->next = found ? entry->rules : NULL;
	entry->rules = rules;
}

RelationRules *
relation_rules_get(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			trigger_oid = trigger->tgoid;
	Oid			userid = GetUserId();
	RelationRules *rules;
	RelationRules *meanwhile;

	if (cache == NULL)
		create_cache();
	rules = find_rules(relid, trigger_oid, userid);
	if (rules == NULL || !relation_rules_current(rules))
	{
		/*
		 * now: nothing that may take notice of a change comes before it is
		 * kept
		 */
		uint32		role_hash = GetSysCacheHashValue1(AUTHOID,
													  ObjectIdGetDatum(userid));

		if (rules)
			drop_rules(rules);
		rules = relation_rules_compile(rel, trigger);
		/* compiling may run functions, which may have come here too */
		meanwhile = find_rules(relid, trigger_oid, userid);
		if (meanwhile)
			drop_rules(meanwhile);
		keep_rules(rules, role_hash);
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
