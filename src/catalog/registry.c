/*
 * registry.c
 *		Which releases of the application the database serves.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/inval.h"

#include "catalog/registry.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"

/* objsubid of the lock on the address of tandem.registry; 1: see declared.c */
#define LOCK_CHANGE 2
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

ReleaseState
registry_state_of(const Registry *registry, int release)
{
	if (release < registry->lowest)
		return RELEASE_RETIRED;
	if (registry->highest > 0 && release > registry->highest)
		return RELEASE_UNKNOWN;
	if (registry->read_only_from > 0 && release >= registry->read_only_from)
		return RELEASE_READ_ONLY;
	return release == registry->current ? RELEASE_CURRENT : RELEASE_READY;
}

Oid
registry_relid(void)
{
	return extension_relation("registry", true);
}

void
registry_changed(void)
{
	CacheInvalidateRelcacheByRelid(registry_relid());
}

static LOCKTAG
change_tag(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, registry_relid(), 0, LOCK_CHANGE);
	return tag;
}

void
registry_lock(void)
{
	LOCKTAG		tag = change_tag();

	extension_refuse_upgrade();
	if (lock_wait(&tag, ExclusiveLock, CHANGE_WAIT_MS))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("the release registry is being changed by another session"),
			 errhint("Let that session commit, then call this again.")));
}

bool
registry_try_lock(void)
{
	LOCKTAG		tag = change_tag();

	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
registry_read(Registry *registry)
{
	TandemQuery query;

	memset(registry, 0, sizeof(Registry));
	query_begin(&query);
	(void) query_run_latest(&query,
							"SELECT coalesce(r.current, 0), coalesce(r.lowest, 0), "
							"coalesce(greatest(r.current, m.highest, (SELECT max(release) FROM tandem.release)), 0), "
							"coalesce(m.read_only_from, 0), coalesce(r.contracting, 0) "
							"FROM (SELECT max(release) AS highest, min(release) FILTER (WHERE phase IN ('expand', 'migrate')) AS read_only_from "
							"FROM tandem.migration WHERE registered AND phase <> 'aborted') m "
							"LEFT JOIN tandem.registry r ON true");
	registry->current = query_get_int(0, 1);
	registry->lowest = query_get_int(0, 2);
	registry->highest = query_get_int(0, 3);
	registry->read_only_from = query_get_int(0, 4);
	registry->contracting = query_get_int(0, 5);
	query_end(&query);
}

bool
registry_others_fill(int migration_id, int release)
{
	TandemQuery query;
	bool		found;

	query_begin(&query);
	query_int(&query, migration_id);
	query_int(&query, release);
	found = query_run_latest(&query,
							 "SELECT FROM tandem.migration WHERE registered AND id <> $1 AND release <= $2 "
							 "AND phase IN ('expand', 'migrate')") > 0;
	query_end(&query);
	return found;
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
	query_end(&query);
	registry_changed();
}

int
registry_lowest_final(void)
{
	TandemQuery query;
	int			lowest;

	query_begin(&query);
	(void) query_run(&query,
					 "SELECT max(release) FROM tandem.migration WHERE registered AND phase = 'done'");
	lowest = query_get_int(0, 1);
	query_end(&query);
	return lowest;
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
