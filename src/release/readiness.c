/*
 * readiness.c
 *		May a release be served, and may a migration of it be created?
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/text.h"
#include "release/readiness.h"
#include "release/session.h"
#include "trigger/install.h"

/*-------------------------------------------------------------------------
 * May a migration of a release be created?
 *
 * A release may have several scripts, each with its migration.  But a release
 * that nodes already use must not become unready.
 *-------------------------------------------------------------------------
 */

/* Otherwise any role could make all releases be refused. */
static void
check_may_move_releases(const Migration *migration)
{
	if (registry_may_change())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to create a migration of release %d",
					migration->release),
			 errdetail("A migration with a release decides which releases are served."),
			 errhint("Run GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO %s; as the owner of the extension or a superuser, or leave out release.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* why is a full sentence */
static void
refuse_release(const Migration *migration, const Registry *registry,
			   const char *why)
{
	int			next = Max(registry->highest, migration->release);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot begin a migration of release %d",
					migration->release),
			 errdetail("%s", why),
			 next < PG_INT32_MAX
			 ? errhint("Take the next number: SELECT tandem.create_migration(%s, release => %d);",
					   quote_literal_cstr(migration->name), next + 1) : 0));
}

/* Returns the tables of the release's migrations. */
static List *
tables_of_release(int release)
{
	TandemQuery query;
	List	   *ids;
	List	   *relids = NIL;
	ListCell   *lc;

	query_begin(&query);
	query_int(&query, release);
	ids = query_texts(&query,
					  "SELECT id::text FROM tandem.migration WHERE release <= $1 AND phase <> 'aborted'");
	query_end(&query);
	foreach(lc, ids)
		relids = list_concat_unique_oid(relids,
										sync_relations_of_migration(atoi(lfirst(lc))));
	return relids;
}

/* Returns a sentence that says how sessions use the release, or NULL. */
static char *
use_of_release(int release)
{
	char	   *sessions;

	if (release_note_is_used(release))
		return psprintf("Release %d is ready, and sessions have written as it.",
						release);
	sessions = sessions_using_release(release, tables_of_release(release));
	return sessions == NULL ? NULL
		: psprintf("Release %d is ready, and sessions have declared it: %s.",
				   release, sessions);
}

static void
check_release_not_used(const Migration *migration, const Registry *registry)
{
	char	   *use = use_of_release(migration->release);

	if (use)
		refuse_release(migration, registry, use);
}

void
opening_check(const Migration *migration)
{
	Registry	registry;
	ReleaseState state;

	if (migration->release == 0)
		return;
	check_may_move_releases(migration);
	registry_lock_release(migration->release, ShareLock);
	registry_read_without(&registry, migration->id);
	state = registry_state_of(&registry, migration->release);
	if (state == RELEASE_RETIRED)
		refuse_release(migration, &registry,
					   psprintf("The database serves release %d and later.",
								registry.lowest));
	if (migration->release <= registry.current)
		refuse_release(migration, &registry,
					   psprintf("Release %d is the current one.",
								registry.current));
	/* while it is filled no release could write, if it is the only one */
	if (migration->release == registry.lowest)
		refuse_release(migration, &registry,
					   psprintf("Release %d is the oldest that is served.",
								registry.lowest));
	if (state == RELEASE_READY)
		check_release_not_used(migration, &registry);
	registry_note_ready();
}

/*
 * A release that has been ready has nodes, or had them: they would be refused until
 * it is filled.  Nobody has seen what was noted in this transaction.
 */
static void
check_may_suspend(const Migration *migration)
{
	int			release = migration->release;
	Registry	registry;
	char	   *use;

	if (!migration_is_filled(migration->id, true))
		return;
	registry_lock_release(release, ShareLock);
	registry_read(&registry);
	use = release <= registry.current
		? psprintf("Release %d is the current one.", registry.current)
		: use_of_release(release);
	if (use == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" had nothing to migrate, and its release is in use",
					migration->name),
			 errdetail("%s It would not be served until this is migrated.", use),
			 registry.highest < PG_INT32_MAX
			 ? errhint("Take the next number: SELECT tandem.create_migration('another name', release => %d);",
					   Max(registry.highest, release) + 1) : 0));
}

void
opening_follow(const Migration *migration)
{
	bool		to_migrate = migration_is_to_be_migrated(migration->id);

	if (to_migrate != migration_is_filled(migration->id, false))
		return;
	if (to_migrate && migration->release > 0)
		check_may_suspend(migration);
	migration_note_filled(migration->id, !to_migrate);
	if (migration->release == 0)
		return;
	registry_note_ready();
	region_follow();
}

/*-------------------------------------------------------------------------
 * May an application node of a release start to work?
 *-------------------------------------------------------------------------
 */

static char *
say_not_expanded(const Region *region, void *arg)
{
	int			release = *(int *) arg;

	if (region->expanded < release)
		return psprintf("has %s", region_release_shown(region->expanded));
	return region->intends_abort && region->intent_release <= release
		? psprintf("is about to %s", region->intent) : NULL;
}

/* A registry that has lost its notes serves no release; this restores them. */
static char *
reason_release_must_wait(const Registry *registry, int release)
{
	const char *first;
	char	   *regions;

	if (registry->unfilled > 0 && registry->unfilled <= release)
		return psprintf("release %d waits for the migration of release %d",
						release, registry->unfilled);
	regions = region_list(say_not_expanded, &release, &first);
	if (regions)
		return psprintf("release %d waits until it is expanded in all regions: %s",
						release, regions);
	return psprintf("release %d was not noted as ready: SELECT tandem.register_release(%d) looks again",
					release, release);
}

static char *
reason_release_is_unknown(const Registry *registry, int release)
{
	if (registry->highest == 0)
		return psprintf("release %d is not known: no migration names a release, and none was registered",
						release);
	return psprintf("release %d is newer than what the database is prepared for, release %d",
					release, registry->highest);
}

static char *
migration_that_left(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT m.name FROM tandem.migration m WHERE m.release = $1 "
												   "AND NOT EXISTS (SELECT FROM tandem.migration o WHERE o.release = $1 AND o.phase <> 'aborted') "
												   "AND NOT EXISTS (SELECT FROM tandem.release e WHERE e.release = $1) ORDER BY m.id DESC LIMIT 1"));
}

char *
release_left_by(int release)
{
	static int	asked = 0;		/* a release that was not left, and as of
								 * which */
	static uint64 asked_as_of = 0;	/* generation of the registry */
	uint64		now = registry_generation();
	char	   *migration;

	/* a node asks for the same release again and again */
	if (asked == release && asked_as_of == now)
		return NULL;
	migration = migration_that_left(release);
	asked = migration == NULL ? release : 0;
	asked_as_of = now;
	return migration;
}

static void
check_not_left(int release, ReleaseHealth *health)
{
	char	   *migration = release_left_by(release);

	health->healthy = migration == NULL;
	health->reason = migration == NULL ? "served"
		: psprintf("migration \"%s\" of release %d was aborted; if the release goes on without it: SELECT tandem.register_release(%d)",
				   migration, release, release);
}

static void
check_release_health(const Registry *registry, int release,
					 ReleaseHealth *health)
{
	health->state = registry_state_of(registry, release);
	health->healthy = false;
	switch (health->state)
	{
		case RELEASE_RETIRED:
			health->reason = psprintf("release %d is no longer served, the oldest is %d",
									  release, registry->lowest);
			break;
		case RELEASE_READ_ONLY:
			health->reason = reason_release_must_wait(registry, release);
			break;
		case RELEASE_UNKNOWN:
			health->reason = reason_release_is_unknown(registry, release);
			break;
		default:
			check_not_left(release, health);
	}
}

static int
dependency_version_of(const JsonbValue *value, const char *name)
{
	bool		failed = value->type != jbvNumeric;
	int			version = 0;

	if (!failed)
		version = compat_numeric_to_int(value->val.numeric, &failed);
	/* compare exactly: 7.4 must not be satisfied by 7 */
	if (failed ||
		!DatumGetBool(DirectFunctionCall2(numeric_eq,
										  NumericGetDatum(value->val.numeric),
										  NumericGetDatum(int64_to_numeric(version)))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version of dependency \"%s\" must be an integer", name),
				 errhint("Run SELECT * FROM tandem.health(42, requires => '{\"search-index\": 7}');")));
	return version;
}

static void
check_dependency(const char *name, int needed, ReleaseHealth *health)
{
	int			version;

	if (!registry_dependency(name, &version))
		health->reason = psprintf("dependency \"%s\" must be at %d, and has not been set",
								  name, needed);
	else if (version < needed)
		health->reason = psprintf("dependency \"%s\" must be at %d, and is at %d",
								  name, needed, version);
	else
		return;
	health->healthy = false;
}

static void
check_dependencies(Jsonb *requires, ReleaseHealth *health)
{
	JsonbIterator *it;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(requires))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("requires must be an object of names and versions"),
				 errhint("Run SELECT * FROM tandem.health(42, requires => '{\"search-index\": 7}');")));
	it = JsonbIteratorInit(&requires->root);
	while (jsonb_next_member(&it, &name, &value))
	{
		int			needed = dependency_version_of(&value, name);

		if (health->healthy)
			check_dependency(name, needed, health);
	}
}

/*
 * After pg_upgrade or a restore the texts of rules are parsed by another server.
 * If it does not take one, every write of the table fails.  Usually there is
 * nothing to look at: migrate records what was parsed.
 */
static void
check_rules_parse(ReleaseHealth *health)
{
	ListCell   *lc;

	foreach(lc, health->healthy ? sync_list_not_parsed() : NIL)
	{
		SyncRule   *rule = lfirst(lc);
		bool		locked;
		char	   *problem = sync_rule_problem(rule, &locked);

		if (problem == NULL)
			continue;
		health->healthy = false;
		health->reason = psprintf("sync of migration \"%s\" to %s is broken: %s",
								  rule->migration,
								  text_joined(sync_columns_shown(rule), "", ", "),
								  problem);
		return;
	}
}

void
release_health(const Registry *registry, int release, Jsonb *requires,
			   ReleaseHealth *health)
{
	check_release_health(registry, release, health);
	check_rules_parse(health);
	if (requires)
		check_dependencies(requires, health);
}
