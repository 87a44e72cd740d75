/*
 * region_row.c
 *		tandem.region: the databases that send each other their rows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "replication/worker_internal.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "catalog/migration_lock.h"
#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"

/*-------------------------------------------------------------------------
 * The own row.
 *-------------------------------------------------------------------------
 */

#define OWN_ROW "system_identifier = $1 AND database = $2"

/* Begins a query with the parameters of OWN_ROW. */
static void
begin_own_query(TandemQuery *query)
{
	query_begin(query);
	query_bigint(query, (int64) GetSystemIdentifier());
	query_oid(query, MyDatabaseId);
}

char *
region_here(void)
{
	TandemQuery query;

	begin_own_query(&query);
	return query_end_text(&query, query_run_latest(&query, "SELECT region FROM tandem.region WHERE " OWN_ROW));
}

bool
region_lock(void)
{
	TandemQuery query;

	begin_own_query(&query);
	return query_end_found(&query, query_run(&query, "SELECT FROM tandem.region WHERE " OWN_ROW " FOR UPDATE"));
}

/* What each change of the own row does besides: s is how far the database is. */
#define NEXT_STATE \
	"seq = r.seq + 1, at = clock_timestamp(), expanded = s.expanded, ready = s.ready, current = s.current, " \
	"lowest = s.lowest, phases = s.phases, keys = s.keys"

void
region_follow(void)
{
	TandemQuery query;

	begin_own_query(&query);
	(void) query_run(&query,
					 "UPDATE tandem.region r SET " NEXT_STATE " FROM tandem._region_state() s WHERE " OWN_ROW);
	query_end(&query);
}

/*-------------------------------------------------------------------------
 * Announcements.
 *-------------------------------------------------------------------------
 */

/* objsubid of the lock on the address of tandem.registry; see registry.c */
#define LOCK_INTENT 4
#define INTENT_WAIT_MS 5000

static LOCKTAG
intent_lock_tag(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, registry_relid(), 0, LOCK_INTENT);
	return tag;
}

bool
region_lock_intent(void)
{
	LOCKTAG		tag = intent_lock_tag();

	return lock_wait(&tag, ExclusiveLock, INTENT_WAIT_MS);
}

/* Does a process still hold what it announced with? */
static bool
intent_is_held(int migration_id)
{
	LOCKTAG		tag = intent_lock_tag();
	Migration	migration = {.id = migration_id};
	int			count;

	pfree(GetLockConflicts(&tag, ExclusiveLock, &count));
	return count > 0 ||
		(migration_id > 0 && migration_runner_pid(&migration) > 0);
}

static bool
find_own_intent(int *migration_id)
{
	TandemQuery query;
	bool		announced;

	*migration_id = 0;
	begin_own_query(&query);
	announced = query_run(&query,
						  "SELECT intent_migration FROM tandem.region WHERE " OWN_ROW " AND intent IS NOT NULL") > 0;
	if (announced)
		*migration_id = query_get_int(0, 1);
	query_end(&query);
	return announced;
}

bool
region_intends(void)
{
	int			migration_id;

	return find_own_intent(&migration_id) && intent_is_held(migration_id);
}

/* Is there an announcement that nobody will act on?  The own row is locked. */
static bool
intent_is_left_behind(void)
{
	int			migration_id;

	return find_own_intent(&migration_id) && !intent_is_held(migration_id);
}

/*
 * Returns how far the migrations are that are being filled, as JSON text.  To plan the
 * view takes longer than the rest of a beat, so it is asked only where there are some.
 */
static char *
progress_here(void)
{
	TandemQuery query;
	bool		some;

	query_begin(&query);
	some = query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.migration WHERE phase = 'migrate' AND release IS NOT NULL LIMIT 1"));
	if (!some)
		return pstrdup("{}");
	query_begin(&query);
	return query_end_text(&query, query_run(&query,
											"SELECT coalesce(jsonb_object_agg(m.name, p.percent), '{}')::text FROM tandem.migration m "
											"JOIN tandem._migration_progress p ON p.migration_id = m.id "
											"WHERE m.phase = 'migrate' AND m.release IS NOT NULL"));
}

bool
region_beat(void)
{
	TandemQuery query;
	bool		found;
	bool		left_behind;
	char	   *progress;

	/*
	 * Whoever acts has the row locked, so what he has done is sent before
	 * what is noted here.
	 */
	begin_own_query(&query);
	found = query_end_found(&query, query_run(&query,
											  "SELECT FROM tandem.region WHERE " OWN_ROW " FOR UPDATE SKIP LOCKED"));
	if (!found)
		return false;
	left_behind = intent_is_left_behind();
	progress = progress_here();
	begin_own_query(&query);
	query_bool(&query, left_behind);
	query_text(&query, progress);
	(void) query_run(&query,
					 "UPDATE tandem.region r SET " NEXT_STATE ", progress = $4::jsonb, "
					 "intent = CASE WHEN NOT $3 THEN r.intent END, intent_release = CASE WHEN NOT $3 THEN r.intent_release END, "
					 "seen = (SELECT coalesce(jsonb_object_agg(o.region, o.seq), '{}') FROM tandem.region o WHERE o.region <> r.region) "
					 "FROM tandem._region_state() s WHERE " OWN_ROW);
	query_end(&query);
	/* what a new subscription is about to bring is known now */
	registry_look_for_ready();
	return true;
}

char *
region_intent(RegionAct act, int release, const char *name)
{
	switch (act)
	{
		case REGION_SWITCH:
			return psprintf("switch to release %d", release);
		case REGION_CONTRACT:
			return psprintf("contract %s of release %d", quote_literal_cstr(name), release);
		case REGION_ABORT:
			return psprintf("abort %s of release %d", quote_literal_cstr(name), release);
		case REGION_TAKE_KEYS:
			return psprintf("take the keys of %s of release %d", quote_literal_cstr(name), release);
		case REGION_GIVE_KEYS_BACK:
			return psprintf("give back the keys of %s of release %d", quote_literal_cstr(name), release);
	}
	return NULL;				/* keep the compiler quiet */
}

void
region_announce(RegionAct act, int release, int migration_id)
{
	Migration  *migration = migration_id > 0 ? migration_by_id(migration_id) : NULL;
	char	   *intent = region_intent(act, release, migration ? migration->name : "?");
	TandemQuery query;

	/*
	 * What nobody acted on goes first, so that the others answer again, also
	 * if the same is announced
	 */
	region_act_done();
	begin_own_query(&query);
	query_text(&query, intent);
	query_int(&query, release);
	/* who contracts commits before, and is known by the lock of its runner */
	query_int(&query, act == REGION_CONTRACT ? migration_id : 0);
	(void) query_run(&query,
					 "UPDATE tandem.region r SET " NEXT_STATE ", intent = $3, intent_release = $4, intent_migration = nullif($5, 0) "
					 "FROM tandem._region_state() s WHERE " OWN_ROW);
	query_end(&query);
}

int64
region_announced(const char *intent)
{
	TandemQuery query;

	begin_own_query(&query);
	query_text(&query, intent);
	return query_end_bigint(&query, query_run_latest(&query, "SELECT seq FROM tandem.region WHERE " OWN_ROW " AND intent = $3"));
}

void
region_act_done(void)
{
	TandemQuery query;

	begin_own_query(&query);
	(void) query_run(&query,
					 "UPDATE tandem.region SET intent = NULL, intent_release = NULL, intent_migration = NULL "
					 "WHERE " OWN_ROW " AND intent IS NOT NULL");
	query_end(&query);
}

/*-------------------------------------------------------------------------
 * The others.
 *-------------------------------------------------------------------------
 */

static bool
intent_begins(const Region *region, const char *words)
{
	return region->intent && strncmp(region->intent, words, strlen(words)) == 0;
}

static void *
read_region(uint64 row)
{
	Region	   *region = palloc(sizeof(Region));

	region->name = query_get_text(row, 1);
	region->expanded = query_get_int(row, 2);
	region->current = query_get_int(row, 3);
	region->lowest = query_get_int(row, 4);
	region->intent = query_get_text(row, 5);
	region->intends_abort = intent_begins(region, "abort ");
	region->intends_contract = intent_begins(region, "contract ");
	region->intends_take_keys = intent_begins(region, "take the keys ");
	region->intends_give_keys_back = intent_begins(region, "give back the keys ");
	region->intent_release = query_get_int(row, 6);
	region->doubt = query_get_text(row, 7);
	region->heard = query_get_text(row, 8);
	region->seen = query_get_bigint(row, 9);
	return region;
}

List *
region_others(void)
{
	TandemQuery query;
	uint64		rows;
	List	   *regions = NIL;

	query_begin(&query);
	rows = query_run_latest(&query,
							"SELECT name, expanded, current, lowest, intent, intent_release, doubt, heard, seen FROM tandem._other_regions ORDER BY name");
	for (uint64 row = 0; row < rows; row++)
		regions = lappend(regions, read_region(row));
	query_end(&query);
	return regions;
}

char *
region_list(char *(*says) (const Region *region, void *arg), void *arg,
			const char **first)
{
	StringInfoData text;
	ListCell   *lc;

	*first = NULL;
	initStringInfo(&text);
	foreach(lc, region_others())
	{
		Region	   *region = lfirst(lc);
		char	   *said = says(region, arg);

		if (said == NULL)
			continue;
		appendStringInfo(&text, "%sregion %s %s (%s)",
						 *first ? "; " : "", region->name, said, region->heard);
		if (*first == NULL)
			*first = region->name;
	}
	return *first ? text.data : NULL;
}

char *
region_release_shown(int release)
{
	return release > 0 ? psprintf("release %d", release) : pstrdup("no release");
}

/* The publications that this worker is sent, as text[]. */
static Datum
publications_of_worker(void)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, MySubscription->publications)
		names = lappend(names, strVal(lfirst(lc)));
	return array_from_strings(names, TEXTOID);
}

/*
 * What the region has said of itself comes in the order of its rows, in a
 * transaction of its own.  A transaction that came to the tables while they were
 * expanded here is still sent as it was before: its worker asks for other columns
 * only from the next one on.
 */
bool
region_sends_columns(const char *migration)
{
	static TimestampTz looked_at = 0;	/* start of the transaction */
	static char looked_for[NAMEDATALEN] = "";
	static bool sends = false;
	TandemQuery query;

	if (looked_at == GetCurrentTransactionStartTimestamp() && strcmp(looked_for, migration) == 0)
		return sends;
	query_begin(&query);
	query_oid(&query, compat_session_origin());
	query_text(&query, migration);
	query_datum(&query, TEXTARRAYOID, publications_of_worker(), false);
	sends = query_end_found(&query,
							query_run_latest(&query,
											 "SELECT FROM tandem.region r JOIN pg_replication_origin o ON o.roname = 'pg_' || r.subscription "
											 "JOIN pg_subscription s ON s.oid = r.subscription AND s.subpublications = $3 "
											 "JOIN tandem.migration m ON m.name = $2 AND m.phase NOT IN ('done', 'aborted') "
											 "WHERE o.roident = $1 AND r.doubt IS NULL AND (r.phases ->> m.name IN ('migrate', 'contract') OR r.lowest >= m.release)"));
	looked_at = GetCurrentTransactionStartTimestamp();
	/* a longer name is looked for each time */
	strlcpy(looked_for, migration, NAMEDATALEN);
	return sends;
}
