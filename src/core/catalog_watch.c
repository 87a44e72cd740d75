/*
 * catalog_watch.c
 *		Has anything in the catalogs changed since it was looked up?
 *
 * Who changes a catalog has the caches of all sessions invalidated, before it
 * gives up its locks.  What is looked up before a table is locked holds under
 * the lock, too, if no such message has come for it.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/catalog_watch.h"

/* more relations than these count as all */
#define MOST_CHANGED 256

static bool watching = false;
static bool all_changed = false;
static int	changed_count = 0;
static Oid	changed[MOST_CHANGED];

/* Invalidation callback; InvalidOid stands for all relations. */
static void
note_changed_relation(Datum arg, Oid relid)
{
	if (!watching || all_changed)
		return;
	for (int i = 0; i < changed_count; i++)
	{
		if (changed[i] == relid)
			return;
	}
	if (OidIsValid(relid) && changed_count < MOST_CHANGED)
		changed[changed_count++] = relid;
	else
		all_changed = true;
}

static void
note_changed_object(Datum arg, int cache, uint32 hash)
{
	all_changed = true;
}

static void
register_callbacks(void)
{
	static const int caches[] = {PROCOID, TYPEOID, RULERELNAME, SEQRELID};
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(note_changed_relation, (Datum) 0);
	for (int i = 0; i < (int) lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], note_changed_object, (Datum) 0);
	registered = true;
}

void
catalog_watch_begin(void)
{
	register_callbacks();
	/* what has come by now is not news */
	AcceptInvalidationMessages();
	all_changed = false;
	changed_count = 0;
	watching = true;
}

/* An index is named itself where only its own row has changed. */
static bool
is_index_of(Oid relid, List *tables)
{
	char		kind = get_rel_relkind(relid);

	return (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX) &&
		list_member_oid(tables, IndexGetRelation(relid, true));
}

bool
catalog_watch_is_quiet(List *tables)
{
	AcceptInvalidationMessages();
	/* looking up an index may note more */
	for (int i = 0; !all_changed && i < changed_count; i++)
	{
		if (list_member_oid(tables, changed[i]) ||
			is_index_of(changed[i], tables))
			return false;
	}
	return !all_changed;
}

bool
catalog_watch_is_silent(void)
{
	return !all_changed && changed_count == 0;
}
