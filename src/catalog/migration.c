/*
 * migration.c
 *		A row of tandem.migration, and its phase changes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/registry.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/query.h"

static Migration *
read_migration(const char *name)
{
	TandemQuery query;
	Migration  *migration = NULL;

	query_begin(&query);
	query_text(&query, name);
	/* as it is now, also in a REPEATABLE READ transaction */
	if (query_run_latest(&query,
						 "SELECT id, coalesce(release, 0), phase, created_by::text, comment "
						 "FROM tandem.migration WHERE name = $1 "
						 "ORDER BY phase = 'aborted', id DESC LIMIT 1") > 0)
	{
		migration = MemoryContextAlloc(query.caller, sizeof(Migration));
		migration->id = query_get_int(0, 1);
		migration->name = MemoryContextStrdup(query.caller, name);
		migration->release = query_get_int(0, 2);
		migration->phase = phase_from_name(query_get_text(&query, 0, 3));
		migration->created_by = query_get_text(&query, 0, 4);
		migration->comment = query_get_text(&query, 0, 5);
	}
	query_end(&query);
	return migration;
}

Migration *
migration_by_id(int id)
{
	TandemQuery query;
	char	   *name = NULL;
	Migration  *migration;

	query_begin(&query);
	query_int(&query, id);
	if (query_run_latest(&query,
						 "SELECT name FROM tandem.migration WHERE id = $1") > 0)
		name = query_get_text(&query, 0, 1);
	query_end(&query);
	migration = name ? read_migration(name) : NULL;
	return migration && migration->id == id ? migration : NULL;
}

/* Tables may have changed hands since: who owns them all may go on. */
static bool
owns_all_tables(const Migration *migration)
{
	List	   *relids = sync_relations_of_migration(migration->id);
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (!compat_is_table_owner(lfirst_oid(lc), GetUserId()))
			return false;
	}
	return relids != NIL;
}

Migration *
migration_get(const char *name)
{
	Migration  *migration = read_migration(name);
	Oid			creator;

	if (migration == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("migration \"%s\" does not exist", name),
				 errhint("SELECT name FROM tandem.migrations; or create it: SELECT tandem.create_migration(%s);",
						 quote_literal_cstr(name))));
	/* the role may be gone after a restore: then owning the tables decides */
	creator = get_role_oid(migration->created_by, true);
	if (OidIsValid(creator) && !has_privs_of_role(GetUserId(), creator) &&
		!owns_all_tables(migration))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for migration \"%s\"", name),
				 errdetail("It was created by role \"%s\".",
						   migration->created_by),
				 errhint("SET ROLE to that role, or to a member of it.")));
	return migration;
}

Migration *
migration_get_for_change(const char *name)
{
	migration_lock_change(name);
	return migration_get(name);
}

void
migration_check(const Migration *migration, PhaseAction action)
{
	Phase		after;

	if (phase_after(migration->phase, action, &after))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" is in phase %s, which does not allow: %s",
					migration->name, phase_name(migration->phase),
					action_name(action)),
			 errhint("Next: %s",
					 psprintf(phase_next_command(migration->phase),
							  quote_literal_cstr(migration->name)))));
}

static void
record_event(const Migration *migration, const char *action,
			 const char *before, const char *after, const char *detail,
			 int64 started)
{
	TandemQuery query;
	char	   *user = GetUserNameFromId(GetUserId(), false);

	query_begin(&query);
	query_int(&query, migration->id);
	query_text(&query, migration->name);
	query_text(&query, action);
	query_text(&query, before);
	query_text(&query, after);
	query_name(&query, user);
	query_text(&query, detail);
	query_datum(&query, FLOAT8OID,
				Float8GetDatum((clock_now() - started) / (double) USECS_PER_SEC),
				started == CLOCK_NEVER);
	(void) query_run(&query,
					 "INSERT INTO tandem.event (migration, name, action, phase_before, phase_after, done_by, detail, took) "
					 "VALUES ($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8))");
	query_end(&query);
}

void
migration_record(const Migration *migration, const char *action,
				 const char *detail, int64 started)
{
	record_event(migration, action, NULL, NULL, detail, started);
}

void
migration_act(Migration *migration, PhaseAction action, const char *detail,
			  int64 started)
{
	TandemQuery query;
	Phase		before = migration->phase;
	Phase		after;

	migration_check(migration, action);
	(void) phase_after(before, action, &after);
	if (after != before)
	{
		query_begin(&query);
		query_int(&query, migration->id);
		query_text(&query, phase_name(after));
		query_bool(&query, action == ACTION_FINISH);
		(void) query_run(&query,
						 "UPDATE tandem.migration SET phase = $2, phase_since = clock_timestamp(), "
						 "filled_at = coalesce(filled_at, CASE WHEN $3 THEN clock_timestamp() END) WHERE id = $1");
		query_end(&query);
		if (migration->release > 0)
			registry_note_ready();
	}
	migration->phase = after;
	record_event(migration, action_name(action), phase_name(before),
				 phase_name(after), detail, started);
}

static const char *
release_text(int release)
{
	return release == 0 ? "none" : psprintf("%d", release);
}

/*
 * Every node that starts runs the script that creates it: all but the first
 * find it there.
 */
static void
check_same_migration(const Migration *migration, int release,
					 const char *comment)
{
	bool		other_release = migration->release != release;

	if (!other_release &&
		(comment == NULL || migration->comment == NULL ||
		 strcmp(comment, migration->comment) == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists, with another %s",
					migration->name, other_release ? "release" : "comment"),
			 errdetail("Recorded: %s. Given: %s. It is in phase %s.",
					   other_release ? release_text(migration->release) : migration->comment,
					   other_release ? release_text(release) : comment,
					   phase_name(migration->phase)),
			 errhint("Choose another name, or look at: SELECT * FROM tandem.migrations;")));
}

static void
add_row(const char *name, int release, const char *comment)
{
	TandemQuery query;
	char	   *user = GetUserNameFromId(GetUserId(), false);

	query_begin(&query);
	query_text(&query, name);
	query_datum(&query, INT4OID, Int32GetDatum(release), release == 0);
	query_text(&query, comment);
	query_name(&query, user);
	(void) query_run(&query,
					 "INSERT INTO tandem.migration (name, release, comment, created_by) "
					 "VALUES ($1, $2, $3, $4)");
	query_end(&query);
}

Migration *
migration_create(const char *name, int release, const char *comment,
				 bool *created)
{
	Migration  *migration;

	*created = false;
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a migration must not be empty"),
				 errhint("SELECT tandem.create_migration('what it changes');")));
	migration_lock_change(name);
	migration = read_migration(name);
	if (migration && migration->phase != PHASE_ABORTED)
	{
		migration = migration_get(name);
		check_same_migration(migration, release, comment);
		ereport(NOTICE,
				(errmsg("migration \"%s\" already exists, in phase %s, skipping",
						name, phase_name(migration->phase))));
		migration_unlock_change(migration);
		return migration;
	}
	add_row(name, release, comment);
	*created = true;
	migration = read_migration(name);
	record_event(migration, "create", NULL, phase_name(PHASE_EXPAND), comment,
				 0);
	return migration;
}
