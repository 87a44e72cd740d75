/*
 * opening.c
 *		May a migration of a release be begun?
 *
 * A release may come in several scripts, each with its migration.  But what
 * nodes work as already is not taken back from them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/registry.h"
#include "catalog/release_note.h"
#include "catalog/sync.h"
#include "core/query.h"
#include "core/quoting.h"
#include "release/declared.h"
#include "release/opening.h"

/* Anybody else could have every release refused. */
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
			 errhint("Run GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO %s; as a superuser, or leave out release.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* why: a sentence */
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

/* Tables that the release works on, as far as migrations tell. */
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

static void
check_not_used(const Migration *migration, const Registry *registry)
{
	int			release = migration->release;
	char	   *sessions;

	if (release_note_is_used(release))
		refuse_release(migration, registry,
					   psprintf("Release %d is ready, and sessions have written as it.",
								release));
	sessions = declared_users(release, tables_of_release(release));
	if (sessions)
		refuse_release(migration, registry,
					   psprintf("Release %d is ready, and sessions have declared it: %s.",
								release, sessions));
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
	/* while it is filled no release could write where it is the only one */
	if (migration->release == registry.lowest)
		refuse_release(migration, &registry,
					   psprintf("Release %d is the oldest that is served.",
								registry.lowest));
	if (state == RELEASE_READY)
		check_not_used(migration, &registry);
	registry_note_ready();
}
