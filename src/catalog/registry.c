/*
 * registry.c
 *		The release registry: which releases are served, and notes about
 *		them.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"

/*-------------------------------------------------------------------------
 * Notes about releases in tandem.release_state, read without a snapshot.
 *-------------------------------------------------------------------------
 */

/* A scan of the notes of one state. */
typedef struct NoteScan
{
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber	releases;
	AttrNumber	state;
	const char *wanted;
} NoteScan;

static void
begin_note_scan(NoteScan *notes, const char *state)
{
	Oid			relid = extension_relation("release_state", false);

	notes->rel = relation_open_present(relid, AccessShareLock);
	notes->releases = get_attnum(relid, "releases");
	notes->state = get_attnum(relid, "state");
	notes->wanted = state;
	notes->slot = table_slot_create(notes->rel, NULL);
	notes->scan = compat_begin_scan(notes->rel, SnapshotSelf);
}

static void
end_note_scan(NoteScan *notes)
{
	table_endscan(notes->scan);
	ExecDropSingleTupleTableSlot(notes->slot);
	table_close(notes->rel, AccessShareLock);
}

/* Gets the next range, an int8range valid until the next call. */
static bool
next_note(NoteScan *notes, Datum *releases)
{
	while (table_scan_getnextslot(notes->scan, ForwardScanDirection,
								  notes->slot))
	{
		bool		isnull;
		Datum		state = slot_getattr(notes->slot, notes->state, &isnull);

		if (isnull || strcmp(TextDatumGetCString(state), notes->wanted) != 0)
			continue;
		*releases = slot_getattr(notes->slot, notes->releases, &isnull);
		if (!isnull)
			return true;
	}
	return false;
}

/*
 * Returns the releases noted as ready, committed or by this transaction, as
 * the text of an int8multirange, palloc'd.
 */
static char *
release_note_all_ready(void)
{
	NoteScan	notes;
	StringInfoData text;
	Datum		releases;
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(INT8RANGEOID, &output, &is_varlena);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	begin_note_scan(&notes, "ready");
	while (next_note(&notes, &releases))
		appendStringInfo(&text, "%s%s", text.len > 1 ? "," : "",
						 OidOutputFunctionCall(output, releases));
	end_note_scan(&notes);
	appendStringInfoChar(&text, '}');
	return text.data;
}

static bool
release_is_noted(const char *state, int release)
{
	NoteScan	notes;
	Datum		releases;
	bool		noted = false;

	begin_note_scan(&notes, state);
	while (!noted && next_note(&notes, &releases))
		noted = DatumGetBool(OidFunctionCall2(F_RANGE_CONTAINS_ELEM, releases,
											  Int64GetDatum(release)));
	end_note_scan(&notes);
	return noted;
}

static bool
release_note_is_ready(int release)
{
	return release_is_noted("ready", release);
}

bool
release_note_is_used(int release)
{
	return release_is_noted("used", release);
}

/*-------------------------------------------------------------------------
 * Which releases of the application the database serves.
 *-------------------------------------------------------------------------
 */

/*
 * objsubid of the locks on the address of tandem.registry; 1 is used in
 * session.c
 */
#define LOCK_CHANGE 2
#define LOCK_RELEASE 3			/* objid: a release */
#define CHANGE_WAIT_MS 10000

static const char *const state_names[] = {
	[RELEASE_READY] = "ready",
	[RELEASE_CURRENT] = "current",
	[RELEASE_READ_ONLY] = "read_only",
	[RELEASE_RETIRED] = "retired",
	[RELEASE_UNKNOWN] = "unknown",
};

const char *
release_state_name(ReleaseState state)
{
	return state_names[state];
}

static bool
release_is_noted_ready(const Registry *registry, int release)
{
	for (int i = 0; i < registry->nready; i++)
	{
		if (release >= registry->ready[i].first &&
			release <= registry->ready[i].last)
			return true;
	}
	return false;
}

/*
 * A release that was never registered is unknown, even if none is registered.
 */
ReleaseState
registry_state_of(const Registry *registry, int release)
{
	if (release < registry->lowest)
		return RELEASE_RETIRED;
	if (release > registry->highest)
		return RELEASE_UNKNOWN;
	if (!release_is_noted_ready(registry, release))
		return RELEASE_READ_ONLY;
	return release == registry->current ? RELEASE_CURRENT : RELEASE_READY;
}

/*
 * The table's OID is looked up once, and again after a change of that table
 * or, while it does not exist, of any table.  The callback is called at any
 * time, so it only marks.
 */
static Oid	known_relid = InvalidOid;
static bool relid_is_known = false;
static uint64 generation = 1;

static void
registry_relcache_callback(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && OidIsValid(known_relid) && relid != known_relid)
		return;
	relid_is_known = false;
	generation++;
}

void
registry_init(void)
{
	CacheRegisterRelcacheCallback(registry_relcache_callback, (Datum) 0);
}

uint64
registry_generation(void)
{
	return generation;
}

Oid
registry_relid(void)
{
	if (!relid_is_known)
	{
		/* an invalidation received meanwhile causes another lookup */
		relid_is_known = true;
		known_relid = InvalidOid;
		known_relid = extension_relation("registry", true);
	}
	return known_relid;
}

void
registry_changed(void)
{
	CacheInvalidateRelcacheByRelid(registry_relid());
}

static LOCKTAG
registry_change_lock_tag(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, registry_relid(), 0, LOCK_CHANGE);
	return tag;
}

static void
raise_registry_being_changed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("the release registry is being changed by another session"),
			 errhint("Let that session commit, then call this again.")));
}

void
registry_lock(void)
{
	LOCKTAG		tag = registry_change_lock_tag();

	extension_refuse_upgrade();
	ddl_refuse_nested();
	if (!lock_wait(&tag, ExclusiveLock, CHANGE_WAIT_MS))
		raise_registry_being_changed();
}

bool
registry_try_lock(void)
{
	LOCKTAG		tag = registry_change_lock_tag();

	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
registry_lock_rows(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	(void) query_run(&query, "SELECT FROM tandem.registry FOR UPDATE");
	query_int(&query, migration_id);
	(void) query_run(&query, "SELECT FROM tandem.migration WHERE id = $1 FOR UPDATE");
	query_end(&query);
	(void) region_lock();
}

void
registry_lock_release(int release, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, registry_relid(), release,
					   LOCK_RELEASE);
	if (!lock_wait(&tag, mode, CHANGE_WAIT_MS))
		raise_registry_being_changed();
}

/* Rows have one range each, or there is one row without a range. */
static void
read_ready_ranges(Registry *registry, uint64 rows)
{
	registry->ready = palloc0(sizeof(ReleaseRange) * rows);
	for (uint64 row = 0; row < rows; row++)
	{
		ReleaseRange range = {query_get_bigint(row, 6), query_get_bigint(row, 7)};

		if (range.first > 0)
			registry->ready[registry->nready++] = range;
	}
}

void
registry_read_without(Registry *registry, int migration_id)
{
	/* read first: notes are never removed, so migrations may be newer */
	char	   *notes = release_note_all_ready();
	TandemQuery query;
	uint64		rows;

	memset(registry, 0, sizeof(Registry));
	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, notes);
	rows = query_run_latest(&query,
							"SELECT current, lowest, highest, unfilled, contracting, lower(u), upper(u) - 1 "
							"FROM tandem._registry_state($1) LEFT JOIN LATERAL unnest($2::int8multirange - waiting) u ON true ORDER BY u");
	registry->current = query_get_int(0, 1);
	registry->lowest = query_get_int(0, 2);
	registry->highest = query_get_int(0, 3);
	registry->unfilled = query_get_int(0, 4);
	registry->contracting = query_get_int(0, 5);
	read_ready_ranges(registry, rows);
	query_end(&query);
}

void
registry_read(Registry *registry)
{
	registry_read_without(registry, 0);
}

int
registry_next_release(void)
{
	Registry	registry;

	registry_read(&registry);
	return registry.highest > 0 && registry.highest < PG_INT32_MAX ? registry.highest + 1 : 42;
}

List *
registry_kept_back_by(int migration_id, int release)
{
	bool		noted = release_note_is_ready(release);
	TandemQuery query;
	List	   *ids;

	query_begin(&query);
	query_int(&query, migration_id);
	query_int(&query, release);
	query_bool(&query, noted);
	ids = query_get_ints(query_run_latest(&query,
										  "SELECT id FROM tandem.migration WHERE id <> $1 AND filled_at IS NULL AND phase IN ('expand', 'migrate') "
										  "AND (release = $2 OR release < $2 AND NOT $3) ORDER BY id"));
	query_end(&query);
	return ids;
}

/*
 * Computed from what is committed now and changed by this transaction, at any
 * isolation level.  Existing notes are not written again.
 */
static bool
note_ready(void)
{
	char	   *notes = release_note_all_ready();
	TandemQuery query;
	uint64		rows;
	ReleaseRange *ranges;

	query_begin(&query);
	query_text(&query, notes);

	/*
	 * What another region has not expanded it would lose; one that is about
	 * to abort may have done so.
	 */
	rows = query_run_latest(&query,
							"SELECT lower(u), upper(u) - 1 FROM (SELECT least(highest, unfilled - 1, "
							"(SELECT min(least(coalesce(o.expanded, 0), CASE WHEN starts_with(o.intent, 'abort ') THEN o.intent_release - 1 END)) "
							"FROM tandem._other_regions o)) AS upto FROM tandem._registry_state(NULL)) n, "
							"unnest(int8multirange(int8range(1, greatest(upto, 1), '[]')) - $1::int8multirange) u WHERE upto > 0");
	ranges = palloc(sizeof(ReleaseRange) * Max(rows, 1));
	for (uint64 row = 0; row < rows; row++)
		ranges[row] = (ReleaseRange)
	{
		query_get_bigint(row, 1), query_get_bigint(row, 2)
	};
	for (uint64 i = 0; i < rows; i++)
	{
		query_bigint(&query, ranges[i].first);
		query_bigint(&query, ranges[i].last);
		(void) query_run(&query,
						 "INSERT INTO tandem.release_state (releases, state) VALUES (int8range($1, $2, '[]'), 'ready')");
	}
	query_end(&query);
	return rows > 0;
}

void
registry_forget_ready(int release)
{
	TandemQuery query;

	if (region_here() == NULL)
		return;
	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query,
					 "DELETE FROM tandem.release_state WHERE state = 'ready' AND releases = int8range($1, $1, '[]') "
					 "AND NOT EXISTS (SELECT FROM tandem.registry g WHERE g.current >= $1)");
	query_end(&query);
}

void
registry_note_ready(void)
{
	(void) note_ready();
	registry_changed();
}

void
registry_look_for_ready(void)
{
	if (note_ready())
		registry_changed();
}

void
registry_note_used(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query,
					 "INSERT INTO tandem.release_state (releases, state) VALUES (int8range($1, $1, '[]'), 'used')");
	query_end(&query);
	registry_changed();
	/* an abort announces again only what earlier commands have announced */
	CommandCounterIncrement();
}

bool
registry_may_change(void)
{
	Oid			user = GetUserId();
	TandemQuery query;
	bool		may;

	query_begin(&query);
	query_oid(&query, user);
	(void) query_run(&query,
					 "SELECT has_function_privilege($1, 'tandem.switch_release(integer)', 'EXECUTE')");
	may = query_get_bool(0, 1);
	query_end(&query);
	return may;
}

void
registry_set_current(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query,
					 "INSERT INTO tandem.registry (current, current_since) VALUES ($1, clock_timestamp()) "
					 "ON CONFLICT (one) DO UPDATE SET current = $1, current_since = clock_timestamp()");
	query_end(&query);
	registry_changed();
	region_follow();
}

void
registry_set_lowest(int lowest, int contracting)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, lowest);
	query_int(&query, contracting);
	(void) query_run(&query,
					 "INSERT INTO tandem.registry (lowest, contracting, lowest_since) "
					 "VALUES (nullif($1, 0), nullif($2, 0), clock_timestamp()) ON CONFLICT (one) DO UPDATE "
					 "SET lowest = nullif($1, 0), contracting = nullif($2, 0), lowest_since = clock_timestamp()");
	if (contracting == 0)
	{
		query_int(&query, lowest);
		(void) query_run(&query,
						 "DELETE FROM tandem.release_state WHERE upper(releases) <= $1");
	}
	query_end(&query);
	registry_changed();
	region_follow();
}

int
registry_lowest_final(void)
{
	TandemQuery query;

	query_begin(&query);
	return query_end_int(&query, query_run(&query,
										   "SELECT max(release) FROM tandem.migration WHERE phase = 'done'"));
}

void
registry_add_release(int release, const char *comment)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	query_text(&query, comment);
	(void) query_run(&query,
					 "INSERT INTO tandem.release (release, comment) VALUES ($1, $2) "
					 "ON CONFLICT (release) DO UPDATE SET comment = coalesce($2, release.comment)");
	query_end(&query);
	registry_changed();
	region_follow();
}

bool
registry_dependency(const char *name, int *version)
{
	TandemQuery query;
	bool		found;

	query_begin(&query);
	query_text(&query, name);
	found = query_run_latest(&query,
							 "SELECT version FROM tandem.dependency WHERE name = $1") > 0;
	if (found)
		*version = query_get_int(0, 1);
	query_end(&query);
	return found;
}

void
registry_set_dependency(const char *name, int version)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, name);
	query_int(&query, version);
	(void) query_run(&query,
					 "INSERT INTO tandem.dependency (name, version) VALUES ($1, $2) "
					 "ON CONFLICT (name) DO UPDATE SET version = $2, changed_at = clock_timestamp()");
	query_end(&query);
	registry_changed();
}
