/*
 * observed.c
 *		What a statement has done to relations: locks, scans, new files.
 *
 * Nothing tells of a statement which relations it touched, but what is left of it: the
 * locks that the transaction holds, the counters of its scans, and the files.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/query.h"
#include "core/relation.h"
#include "review/observed.h"

typedef struct Observed
{
	Oid			relid;			/* hash key */
	bool		looked_up;
	char	   *relation;		/* NULL: not one that counts */
	Oid			of;				/* the table of an index, or InvalidOid */
	Oid			file;			/* at the last look */
	LOCKMASK	held;
	int64		scans;
	LOCKMASK	taken;			/* since the last look */
	int			waiting;
} Observed;

struct Observer
{
	HTAB	   *relations;		/* Observed */
	MemoryContext context;
};

#define OF_USERS \
	"c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S', 'i', 'I') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tandem') " \
	"AND n.nspname !~ '^pg_(toast|temp)'"

static Observed *
observed_relation(Observer *observer, Oid relid)
{
	bool		found;
	Observed   *relation = hash_search(observer->relations, &relid, HASH_ENTER, &found);

	if (!found)
	{
		memset(relation, 0, sizeof(Observed));
		relation->relid = relid;
	}
	return relation;
}

/*-------------------------------------------------------------------------
 * Locks.
 *-------------------------------------------------------------------------
 */

static bool
is_of_relation(const LockInstanceData *lock)
{
	return lock->locktag.locktag_type == LOCKTAG_RELATION &&
		lock->locktag.locktag_field1 == MyDatabaseId;
}

static void
forget_last_look(Observer *observer)
{
	HASH_SEQ_STATUS status;
	Observed   *relation;

	hash_seq_init(&status, observer->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		relation->taken = 0;
		relation->waiting = 0;
	}
}

static void
look_at_locks(Observer *observer)
{
	LockData   *locks = GetLockStatusData();

	forget_last_look(observer);

	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];
		Observed   *relation;

		if (!is_of_relation(lock) || lock->pid != MyProcPid || lock->holdMask == 0)
			continue;
		relation = observed_relation(observer, lock->locktag.locktag_field2);
		relation->taken |= lock->holdMask & ~relation->held;
		relation->held |= lock->holdMask;
	}
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];
		Oid			relid = lock->locktag.locktag_field2;
		Observed   *relation;

		if (!is_of_relation(lock) || lock->pid == MyProcPid || lock->waitLockMode == NoLock)
			continue;
		relation = hash_search(observer->relations, &relid, HASH_FIND, NULL);
		if (relation)
			relation->waiting++;
	}
	pfree(locks->locks);
	pfree(locks);
}

static LOCKMODE
strongest_of(LOCKMASK mask)
{
	LOCKMODE	mode = MaxLockMode;

	while (mode > NoLock && (mask & LOCKBIT_ON(mode)) == 0)
		mode--;
	return mode;
}

const char *
observed_blocks(LOCKMODE mode)
{
	switch (mode)
	{
		case AccessExclusiveLock:
			return "reads and writes";
		case ExclusiveLock:
		case ShareRowExclusiveLock:
		case ShareLock:
			return "writes";
		case NoLock:
			return NULL;
		default:
			return "schema changes";
	}
}

/*-------------------------------------------------------------------------
 * The catalogs.
 *-------------------------------------------------------------------------
 */

/* As they were before the transaction: those that it has made are not found. */
static void
look_up_new_relations(Observer *observer)
{
	List	   *relids = NIL;
	HASH_SEQ_STATUS status;
	Observed   *relation;
	TandemQuery query;
	MemoryContext caller;
	uint64		rows;

	hash_seq_init(&status, observer->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		if (!relation->looked_up)
			relids = lappend_oid(relids, relation->relid);
		relation->looked_up = true;
	}
	if (relids == NIL)
		return;
	caller = MemoryContextSwitchTo(observer->context);
	query_begin(&query);
	query_oid_list(&query, relids);
	rows = query_run_before(&query,
							"SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relfilenode, coalesce(i.indrelid, 0) "
							"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid "
							"WHERE c.oid = ANY ($1) AND " OF_USERS);
	for (uint64 i = 0; i < rows; i++)
	{
		relation = observed_relation(observer, query_get_oid(i, 1));
		relation->relation = query_get_text(i, 2);
		relation->file = query_get_oid(i, 3);
		relation->of = query_get_oid(i, 4);
	}
	query_end(&query);
	MemoryContextSwitchTo(caller);
	list_free(relids);
}

static Oid
file_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			file = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
		ReleaseSysCache(tuple);
	}
	return file;
}

/* With what is stored apart, which is written anew along with it. */
static int64
bytes_of(Oid relid)
{
	bool		gone;
	Relation	rel = relation_open_nowait(relid, &gone);
	Oid			apart;
	int64		bytes = 0;

	if (rel == NULL)
		return 0;
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind) && rel->rd_rel->relkind != RELKIND_SEQUENCE)
		bytes = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
	apart = rel->rd_rel->reltoastrelid;
	relation_close(rel, AccessShareLock);
	return bytes > 0 && OidIsValid(apart) ? bytes + bytes_of(apart) : bytes;
}

/* A new file that is empty is that of a TRUNCATE. */
static int64
look_at_file(Observed *relation)
{
	Oid			file = file_of(relation->relid);

	if (!OidIsValid(file) || file == relation->file)
		return 0;
	relation->file = file;
	return bytes_of(relation->relid);
}

/* The server counts them for the transaction, and hands them on when the session is idle. */
static int64
scans_of(Oid relid)
{
	return DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_numscans, ObjectIdGetDatum(relid)));
}

static void
note_earlier_scans(Observer *observer)
{
	TandemQuery query;
	uint64		rows;

	query_begin(&query);
	rows = query_run(&query,
					 "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
					 "WHERE pg_stat_get_xact_numscans(c.oid) > 0 AND " OF_USERS);
	for (uint64 i = 0; i < rows; i++)
	{
		Oid			relid = query_get_oid(i, 1);

		observed_relation(observer, relid)->scans = scans_of(relid);
	}
	query_end(&query);
}

/*-------------------------------------------------------------------------
 * The observer.
 *-------------------------------------------------------------------------
 */

Observer *
observer_begin(void)
{
	Observer   *observer = palloc(sizeof(Observer));
	HASHCTL		control = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(Observed),
		.hcxt = CurrentMemoryContext
	};

	observer->context = CurrentMemoryContext;
	observer->relations = hash_create("relations that a rehearsal observes", 64, &control,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	note_earlier_scans(observer);
	look_at_locks(observer);
	look_up_new_relations(observer);
	return observer;
}

int
observer_waiting(const Observer *observer, Oid relid)
{
	const Observed *relation = hash_search(observer->relations, &relid, HASH_FIND, NULL);

	return relation ? relation->waiting : 0;
}

/* A lock that is held already is not taken again as far as anybody sees. */
static LOCKMODE
mode_of_use(const Observed *relation, LOCKMODE expected)
{
	LOCKMASK	mask = relation->taken;

	if (expected != NoLock)
		mask |= relation->held & LOCKBIT_ON(expected);
	return strongest_of(mask ? mask : relation->held);
}

/* What plans a query locks the indexes of its tables, so an index counts if its lock keeps more away. */
static bool
goes_with_table(const Observer *observer, const Observed *relation)
{
	const Observed *table = OidIsValid(relation->of)
	? hash_search(observer->relations, &relation->of, HASH_FIND, NULL) : NULL;

	return OidIsValid(relation->of) && strongest_of(relation->held) <= (table ? strongest_of(table->held) : AccessShareLock);
}

static ObservedUse *
look_at_relation(const Observer *observer, Observed *relation, LOCKMODE expected)
{
	int64		scans = OidIsValid(relation->of) ? 0 : scans_of(relation->relid);
	int64		rewritten = look_at_file(relation);
	ObservedUse *use = NULL;

	if (expected == NoLock && goes_with_table(observer, relation))
		return NULL;
	if (relation->taken || rewritten > 0 || scans > relation->scans || (expected != NoLock && relation->held))
	{
		use = palloc0(sizeof(ObservedUse));
		use->relid = relation->relid;
		use->relation = relation->relation;
		use->mode = mode_of_use(relation, expected);
		use->waiting = relation->waiting;
		use->rewritten = rewritten;
		use->scans = Max(scans - relation->scans, 0);
	}
	relation->scans = scans;
	return use;
}

static LOCKMODE
expected_mode(List *expected, Oid relid)
{
	ListCell   *lc;

	foreach(lc, expected)
	{
		const ObservedUse *use = lfirst(lc);

		if (use->relid == relid)
			return use->mode;
	}
	return NoLock;
}

static int
compare_uses(const ListCell *a, const ListCell *b)
{
	const ObservedUse *first = lfirst(a);
	const ObservedUse *second = lfirst(b);

	return strcmp(first->relation, second->relation);
}

List *
observer_look(Observer *observer, List *expected)
{
	List	   *uses = NIL;
	HASH_SEQ_STATUS status;
	Observed   *relation;

	look_at_locks(observer);
	look_up_new_relations(observer);
	hash_seq_init(&status, observer->relations);
	while ((relation = hash_seq_search(&status)) != NULL)
	{
		ObservedUse *use = relation->relation
		? look_at_relation(observer, relation, expected_mode(expected, relation->relid)) : NULL;

		if (use)
			uses = lappend(uses, use);
	}
	list_sort(uses, compare_uses);
	return uses;
}
