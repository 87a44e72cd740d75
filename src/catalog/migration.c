/*
 * migration.c
 *		A row of tandem.migration, its phase changes and its locks.
 *
 * The locks are heavyweight object locks on the address of tandem.migration,
 * told apart by objsubid, so that they cannot meet an application's advisory
 * locks and are seen in pg_locks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/migration.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "catalog/registry.h"
#include "common/hashfn.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

typedef enum MigrationLock
{
	LOCK_RUNNER = 1,			/* objid: id of the migration; session lock */
	LOCK_CHANGE = 2,			/* objid: hash of the name */
	LOCK_STOP = 3,				/* objid: id of the migration */
	LOCK_WORKER = 4,			/* objid: id of the migration; session lock */
	LOCK_RETRY = 5,				/* objid: id of the migration */
	LOCK_START = 6,				/* objid: id of the migration; session lock */
} MigrationLock;

#define RUNNER_POLL_MS 200

static void
set_lock_tag(LOCKTAG *tag, MigrationLock lock, uint32 objid)
{
	Oid			classid = get_relname_relid("migration",
											get_namespace_oid("tandem", false));

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, classid, objid, lock);
}

static bool
acquire(MigrationLock lock, uint32 objid, LOCKMODE mode, bool session)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, lock, objid);
	return LockAcquire(&tag, mode, session, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The other may itself be waiting for a table, for as long: an expand in its
 * transaction.
 */
static void
lock_change(const char *name)
{
	uint32		hash = hash_bytes((const unsigned char *) name, strlen(name));
	LOCKTAG		tag;

	set_lock_tag(&tag, LOCK_CHANGE, hash);
	if (!lock_wait(&tag, ExclusiveLock,
				   Min(setting_lock_retry_time, INT_MAX / 1000) * 1000))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("migration \"%s\" is being changed by another session",
						name),
				 errdetail("In the way: %s.",
						   lock_describe_tag_holders(&tag, ExclusiveLock)),
				 errhint("Let that session commit, then look at: SELECT * FROM tandem.migrations;")));
}

/* lock_wait has left the lock with the transaction, not with the statement. */
void
migration_unlock_change(const Migration *migration)
{
	uint32		hash = hash_bytes((const unsigned char *) migration->name,
								  strlen(migration->name));
	ResourceOwner owner = CurrentResourceOwner;
	LOCKTAG		tag;

	set_lock_tag(&tag, LOCK_CHANGE, hash);
	CurrentResourceOwner = CurTransactionResourceOwner;
	(void) LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

int
migration_runner_pid(const Migration *migration)
{
	TandemQuery query;
	int			pid;

	query_begin(&query);
	query_int(&query, migration->id);
	(void) query_run(&query, "SELECT tandem.runner_pid($1)");
	pid = query_get_int(0, 1);
	query_end(&query);
	return pid;
}

void
migration_already_running(const Migration *migration, int pid)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("migration \"%s\" is already running by pid %d",
					migration->name, pid),
			 errhint("Watch it: SELECT * FROM tandem.progress;")));
}

void
migration_lock_runner(Migration *migration, bool session)
{
	set_lock_tag(&migration->runner, LOCK_RUNNER, migration->id);
	if (!acquire(LOCK_RUNNER, migration->id, ExclusiveLock, session))
		migration_already_running(migration, migration_runner_pid(migration));
}

bool
migration_is_running(const Migration *migration)
{
	LOCKTAG		tag;

	if (!acquire(LOCK_RUNNER, migration->id, ExclusiveLock, false))
		return true;
	set_lock_tag(&tag, LOCK_RUNNER, migration->id);
	(void) LockRelease(&tag, ExclusiveLock, false);
	return false;
}

/*
 * Who waits must not be in the lock's queue: there he would be in the way of an
 * abort, and at the end of the run of whoever only tries for the lock.  The
 * look at its holders needs neither catalogs nor a snapshot.
 */
void
migration_await_runner(const Migration *migration)
{
	LOCKTAG		tag;
	int			count;

	set_lock_tag(&tag, LOCK_RUNNER, migration->id);
	/* the look-up of that had a snapshot */
	SPI_commit();
	do
	{
		interruptible_sleep(RUNNER_POLL_MS);
		pfree(GetLockConflicts(&tag, ExclusiveLock, &count));
	} while (count > 0);
}

bool
migration_lock_start(const Migration *migration, bool session)
{
	return acquire(LOCK_START, migration->id, ExclusiveLock, session);
}

void
migration_unlock_start(const Migration *migration)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, LOCK_START, migration->id);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

bool
migration_was_cancelled(const Migration *migration, TimestampTz since)
{
	TandemQuery query;
	bool		cancelled;

	query_begin(&query);
	query_int(&query, migration->id);
	query_datum(&query, TIMESTAMPTZOID, TimestampTzGetDatum(since), false);
	cancelled = query_run_latest(&query,
								 "SELECT FROM tandem.event WHERE migration = $1 AND action = 'cancel' AND done_at > $2") > 0;
	query_end(&query);
	return cancelled;
}

void
migration_stopped(const Migration *migration)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("migration \"%s\" was stopped by another session",
					migration->name),
			 errhint("SELECT * FROM tandem.history; tells by whom.")));
}

void
migration_unlock_runner(Migration *migration)
{
	(void) LockRelease(&migration->runner, ExclusiveLock, true);
}

/*
 * Workers end with their runner, which ends them; those of a runner that was
 * terminated may take a moment.
 */
void
migration_wait_for_workers(const Migration *migration, int timeout_ms)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, LOCK_WORKER, migration->id);
	if (lock_wait(&tag, ExclusiveLock, timeout_ms))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("workers of an earlier run of migration \"%s\" are still at work",
					migration->name),
			 errhint("Wait for them, or end them with pg_terminate_backend: SELECT workers FROM tandem.progress;")));
}

/*
 * The runner gives the stop lock back for an instant between two batches, and
 * only tries for it, which fails as soon as somebody is queued for it.
 */
void
migration_stop_runner(const Migration *migration, int timeout_ms)
{
	LOCKTAG		stop;
	LOCKTAG		runner;

	set_lock_tag(&stop, LOCK_STOP, migration->id);
	set_lock_tag(&runner, LOCK_RUNNER, migration->id);
	if (lock_wait(&stop, ExclusiveLock, timeout_ms) &&
		lock_wait(&runner, ExclusiveLock, timeout_ms))
	{
		migration_wait_for_workers(migration, timeout_ms);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("migration \"%s\" is running by pid %d and did not stop within %d s",
					migration->name, migration_runner_pid(migration), timeout_ms / 1000),
			 errhint("Cancel it with pg_cancel_backend(%d), then call this again.",
					 migration_runner_pid(migration))));
}

void
migration_check_stop(const Migration *migration)
{
	if (!acquire(LOCK_STOP, migration->id, ShareLock, false))
		migration_stopped(migration);
}

/* The server itself gives back no such session lock at the end of a process. */
static void
leave_workers(int code, Datum arg)
{
	LOCKTAG    *tag = (LOCKTAG *) DatumGetPointer(arg);

	AbortOutOfAnyTransaction();
	if (compat_lock_is_held(tag, ShareLock))
		(void) LockRelease(tag, ShareLock, true);
}

void
migration_join_workers(int migration_id)
{
	static LOCKTAG tag;

	set_lock_tag(&tag, LOCK_WORKER, migration_id);
	before_shmem_exit(leave_workers, PointerGetDatum(&tag));
	(void) LockAcquire(&tag, ShareLock, true, true);
}

void
migration_join_retry(int migration_id)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, LOCK_RETRY, migration_id);
	(void) LockAcquire(&tag, ShareLock, false, true);
}

static Migration *
read_migration(const char *name)
{
	TandemQuery query;
	Migration  *migration = NULL;

	query_begin(&query);
	query_text(&query, name);
	/* as it is now, also in a REPEATABLE READ transaction */
	if (query_run_latest(&query,
						 "SELECT id, coalesce(release, 0), phase, created_by::text, registered, comment "
						 "FROM tandem.migration WHERE name = $1 "
						 "ORDER BY phase = 'aborted', id DESC LIMIT 1") > 0)
	{
		migration = MemoryContextAlloc(query.caller, sizeof(Migration));
		migration->id = query_get_int(0, 1);
		migration->name = MemoryContextStrdup(query.caller, name);
		migration->release = query_get_int(0, 2);
		migration->phase = phase_from_name(query_get_text(&query, 0, 3));
		migration->created_by = query_get_text(&query, 0, 4);
		migration->registered = query_get_bool(0, 5);
		migration->comment = query_get_text(&query, 0, 6);
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
	lock_change(name);
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
			 TimestampTz started)
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
	query_datum(&query, TIMESTAMPTZOID, TimestampTzGetDatum(started),
				started == 0);
	(void) query_run(&query,
					 "INSERT INTO tandem.event (migration, name, action, phase_before, phase_after, done_by, detail, took) "
					 "VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() - $8)");
	query_end(&query);
}

void
migration_record(const Migration *migration, const char *action,
				 const char *detail, TimestampTz started)
{
	record_event(migration, action, NULL, NULL, detail, started);
}

void
migration_act(Migration *migration, PhaseAction action, const char *detail,
			  TimestampTz started)
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
		(void) query_run(&query,
						 "UPDATE tandem.migration SET phase = $2, phase_since = clock_timestamp() WHERE id = $1");
		query_end(&query);
		if (migration->registered)
			registry_changed();
	}
	migration->phase = after;
	record_event(migration, action_name(action), phase_name(before),
				 phase_name(after), detail, started);
}

/*
 * Only a role that may switch releases may have a migration that decides which
 * are served: anybody else could have all of them refused.
 */
static bool
may_move_releases(int release)
{
	if (registry_may_change())
		return true;
	ereport(NOTICE,
			(errmsg("release %d is noted, but the release registry does not follow this migration",
					release),
			 errhint("To have it follow: GRANT EXECUTE ON FUNCTION tandem.switch_release TO %s; before it is created.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	return false;
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

Migration *
migration_create(const char *name, int release, const char *comment)
{
	TandemQuery query;
	Migration  *migration;

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a migration must not be empty"),
				 errhint("SELECT tandem.create_migration('what it changes');")));
	lock_change(name);
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
	{
		char	   *user = GetUserNameFromId(GetUserId(), false);

		bool		registered = release > 0 && may_move_releases(release);

		query_begin(&query);
		query_text(&query, name);
		query_datum(&query, INT4OID, Int32GetDatum(release), release == 0);
		query_text(&query, comment);
		query_name(&query, user);
		query_bool(&query, registered);
		(void) query_run(&query,
						 "INSERT INTO tandem.migration (name, release, comment, created_by, registered) "
						 "VALUES ($1, $2, $3, $4, $5)");
		query_end(&query);
		if (registered)
			registry_changed();
	}
	migration = read_migration(name);
	record_event(migration, "create", NULL, phase_name(PHASE_EXPAND), comment,
				 0);
	return migration;
}
