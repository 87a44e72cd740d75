/*
 * migration_lock.c
 *		The locks of a migration: for changing, running and stopping it.
 *
 * They are heavyweight object locks on the address of tandem.migration, told
 * apart by objsubid.  So they cannot conflict with an application's advisory
 * locks, and are shown in pg_locks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "catalog/migration_lock.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/statement.h"
#include "core/transaction.h"
#include "core/wait_chain.h"

typedef enum MigrationLock
{
	LOCK_RUNNER = 1,			/* objid: id of the migration; session lock */
	LOCK_CHANGE = 2,			/* objid: id of the migration */
	LOCK_STOP = 3,				/* objid: id of the migration */
	LOCK_WORKER = 4,			/* objid: id of the migration; session lock */
	LOCK_RETRY = 5,				/* objid: id of the migration */
	LOCK_START = 6,				/* objid: id of the migration; session lock */
	LOCK_CREATION = 7,			/* objid: hash of the name; held only for a
								 * moment */
	LOCK_LOADING = 8,			/* objid: 0 */
} MigrationLock;

#define RUNNER_POLL_MS 200
#define COMMIT_EVERY_MS 1000

static void
set_migration_lock_tag(LOCKTAG *tag, MigrationLock lock, uint32 objid)
{
	Oid			classid = extension_relation("migration", false);

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, classid, objid, lock);
}

static bool
acquire_migration_lock(MigrationLock lock, uint32 objid, LOCKMODE mode,
					   bool session)
{
	LOCKTAG		tag;

	lock_refuse_standby(mode);
	set_migration_lock_tag(&tag, lock, objid);
	return LockAcquire(&tag, mode, session, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The holder may itself be waiting for a table, for as long: an expand in its
 * transaction.
 */
void
migration_lock_change(const Migration *migration)
{
	LOCKTAG		tag;
	char	   *holders;

	extension_refuse_upgrade();
	ddl_refuse_nested();
	set_migration_lock_tag(&tag, LOCK_CHANGE, migration->id);
	if (lock_wait(&tag, ExclusiveLock, lock_retry_ms()))
		return;
	holders = lock_describe_tag_holders(&tag, ExclusiveLock);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("migration \"%s\" is being changed by another session",
					migration->name),
			 errdetail("Blocked by: %s.", holders),
			 errhint("Let that session commit, then run SELECT * FROM tandem.migrations;")));
}

/* lock_wait has assigned the lock to the transaction, not to the statement. */
void
migration_unlock_change(const Migration *migration)
{
	ResourceOwner owner = CurrentResourceOwner;
	LOCKTAG		tag;

	set_migration_lock_tag(&tag, LOCK_CHANGE, migration->id);
	CurrentResourceOwner = CurTransactionResourceOwner;
	(void) LockRelease(&tag, ExclusiveLock, false);
	CurrentResourceOwner = owner;
}

static void
set_creation_tag(LOCKTAG *tag, const char *name)
{
	set_migration_lock_tag(tag, LOCK_CREATION,
						   hash_bytes((const unsigned char *) name, strlen(name)));
}

void
migration_lock_creation(const char *name)
{
	LOCKTAG		tag;

	lock_refuse_standby(ExclusiveLock);
	ddl_refuse_nested();
	set_creation_tag(&tag, name);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

void
migration_unlock_creation(const char *name)
{
	LOCKTAG		tag;

	set_creation_tag(&tag, name);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Usually the lock is free; then no subtransaction is needed to wait for it.
 */
static void
lock_loading(LOCKMODE mode, const char *doing)
{
	LOCKTAG		tag;
	char	   *holders;

	lock_refuse_standby(mode);
	set_migration_lock_tag(&tag, LOCK_LOADING, 0);
	if (LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL ||
		lock_wait(&tag, mode, lock_retry_ms()))
		return;
	holders = lock_describe_tag_holders(&tag, mode);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("another session %s", doing),
			 errdetail("Blocked by: %s.", holders),
			 errhint("Let that session end its transaction, then call this again.")));
}

/*
 * Sessions that load rows do not exclude each other, nor do those that create
 * migrations.
 */
void
migration_lock_load(void)
{
	lock_loading(ShareLock, "is creating a migration");
}

void
migration_lock_new(void)
{
	lock_loading(RowExclusiveLock, "is loading rows of migrations that do not exist");
}

int
migration_runner_pid(const Migration *migration)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	return query_end_int(&query, query_run(&query, "SELECT tandem.runner_pid($1)"));
}

void
migration_already_running(const Migration *migration, int pid)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("migration \"%s\" is already running by pid %d",
					migration->name, pid),
			 errhint("CALL tandem.migrate(%s, if_running => 'wait'); waits for its end; SELECT * FROM tandem.status; shows how far it is.",
					 quote_literal_cstr(migration->name))));
}

void
migration_lock_runner(Migration *migration, bool session)
{
	set_migration_lock_tag(&migration->runner, LOCK_RUNNER, migration->id);
	if (!acquire_migration_lock(LOCK_RUNNER, migration->id, ExclusiveLock,
								session))
		migration_already_running(migration, migration_runner_pid(migration));
}

bool
migration_is_running(const Migration *migration)
{
	LOCKTAG		tag;

	if (!acquire_migration_lock(LOCK_RUNNER, migration->id, ExclusiveLock,
								false))
		return true;
	set_migration_lock_tag(&tag, LOCK_RUNNER, migration->id);
	(void) LockRelease(&tag, ExclusiveLock, false);
	return false;
}

typedef struct RunnerWait
{
	LOCKTAG		runner;
	LOCKTAG		workers;
	int			circles;		/* number of looks in a row that saw one */
	int			pid;			/* a process of the run that waits for us */
} RunnerWait;

/* Returns a process with that lock that waits for this one, or 0. */
static int
holder_that_waits_for_us(const LOCKTAG *tag)
{
	int			count;
	VirtualTransactionId *holders = GetLockConflicts(tag, ExclusiveLock, &count);

	for (int i = 0; i < count; i++)
	{
		int			pid = compat_holder_pid(holders[i]);

		if (pid && wait_chain_leads_to(pid, MyProcPid))
			return pid;
	}
	return 0;
}

/*
 * The session may have an advisory lock, as tools take one, for which the run
 * waits, or a session that it waits for.  The server does not see the circle,
 * since this process waits for no lock.
 */
static bool
run_waits_for_us(RunnerWait *wait)
{
	wait->pid = holder_that_waits_for_us(&wait->runner);
	if (wait->pid == 0)
		wait->pid = holder_that_waits_for_us(&wait->workers);
	wait->circles = wait->pid ? wait->circles + 1 : 0;
	return wait->circles >= WAIT_CHAIN_LOOKS;
}

/* Looking at the lock's holders needs neither catalogs nor a snapshot. */
static bool
runner_has_ended(void *arg)
{
	RunnerWait *wait = arg;
	int			count;

	(void) GetLockConflicts(&wait->runner, ExclusiveLock, &count);
	return count == 0 || run_waits_for_us(wait);
}

/*
 * The caller must not wait in the lock's queue.  There it would block an
 * abort, and make sessions fail that only try for the lock at the end of the
 * run.
 */
int
migration_await_runner(const Migration *migration)
{
	RunnerWait	wait = {.circles = 0};

	set_migration_lock_tag(&wait.runner, LOCK_RUNNER, migration->id);
	set_migration_lock_tag(&wait.workers, LOCK_WORKER, migration->id);
	transaction_poll(runner_has_ended, &wait, RUNNER_POLL_MS, COMMIT_EVERY_MS);
	return wait.circles >= WAIT_CHAIN_LOOKS ? wait.pid : 0;
}

bool
migration_lock_start(Migration *migration, bool session)
{
	set_migration_lock_tag(&migration->start, LOCK_START, migration->id);
	return acquire_migration_lock(LOCK_START, migration->id, ExclusiveLock,
								  session);
}

void
migration_unlock_start(const Migration *migration)
{
	(void) LockRelease(&migration->start, ExclusiveLock, true);
}

int64
migration_next_event(const Migration *migration)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	return query_end_bigint(&query, query_run_latest(&query,
													 "SELECT coalesce(max(id), 0) + 1 FROM tandem.event WHERE migration = $1"));
}

bool
migration_was_cancelled(const Migration *migration, int64 since)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	query_bigint(&query, since);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem.event WHERE migration = $1 AND action = 'cancel' AND id >= $2"));
}

void
migration_stopped(const Migration *migration)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("migration \"%s\" was stopped by another session",
					migration->name),
			 errhint("See tandem.history for who stopped it.")));
}

void
migration_unlock_runner(Migration *migration)
{
	(void) LockRelease(&migration->runner, ExclusiveLock, true);
}

/*
 * The runner ends its workers when it ends.  Those of a runner that was
 * terminated may take a moment.
 */
void
migration_wait_for_workers(const Migration *migration, int timeout_ms)
{
	LOCKTAG		tag;

	set_migration_lock_tag(&tag, LOCK_WORKER, migration->id);
	if (lock_wait(&tag, ExclusiveLock, timeout_ms))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("workers of an earlier run of migration \"%s\" are still at work",
					migration->name),
			 errhint("Wait for them, or end them with pg_terminate_backend: SELECT workers FROM tandem.progress;")));
}

/*
 * Between two batches the runner releases the stop lock for a moment.  It then
 * only tries to get it again, which fails as soon as a session is queued for
 * it.
 */
void
migration_stop_runner(const Migration *migration, int timeout_ms)
{
	LOCKTAG		stop;
	LOCKTAG		runner;
	int			pid;

	set_migration_lock_tag(&stop, LOCK_STOP, migration->id);
	set_migration_lock_tag(&runner, LOCK_RUNNER, migration->id);
	if (lock_wait(&stop, ExclusiveLock, timeout_ms) &&
		lock_wait(&runner, ExclusiveLock, timeout_ms))
	{
		migration_wait_for_workers(migration, timeout_ms);
		return;
	}
	pid = migration_runner_pid(migration);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("migration \"%s\" is running by pid %d and did not stop within %d s",
					migration->name, pid, timeout_ms / 1000),
			 errhint("Cancel it with pg_cancel_backend(%d), then call this again.",
					 pid)));
}

/* The runner that this worker has joined; 0 if this is no worker. */
static int	joined_runner = 0;

int
migration_runner_of_process(void)
{
	return joined_runner ? joined_runner : MyProcPid;
}

void
migration_check_stop(const Migration *migration)
{
	if (joined_runner && BackendPidGetProc(joined_runner) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("the run of migration \"%s\" by pid %d has ended",
						migration->name, joined_runner),
				 errhint("Run CALL tandem.migrate(%s) again; completed work is kept.",
						 quote_literal_cstr(migration->name))));
	if (!acquire_migration_lock(LOCK_STOP, migration->id, ShareLock, false))
		migration_stopped(migration);
}

void
migration_refuse_stop(const Migration *migration)
{
	LOCKTAG		tag;

	migration_check_stop(migration);
	set_migration_lock_tag(&tag, LOCK_STOP, migration->id);
	(void) LockRelease(&tag, ShareLock, false);
}

/* The server does not release such a session lock when a process exits. */
static void
release_worker_locks_at_exit(int code, Datum arg)
{
	LOCKTAG    *tag = (LOCKTAG *) DatumGetPointer(arg);

	AbortOutOfAnyTransaction();
	if (compat_lock_is_held(tag, ShareLock))
		(void) LockRelease(tag, ShareLock, true);
}

/*
 * A session that has waited, or waits, for the workers to end does not know of
 * this one.  From the moment that it holds the lock it is waited for.  But
 * another runner may have started before that, so check once more.
 */
bool
migration_join_workers(int migration_id, int runner)
{
	static LOCKTAG tag;
	Migration	migration = {.id = migration_id};

	set_migration_lock_tag(&tag, LOCK_WORKER, migration_id);
	before_shmem_exit(release_worker_locks_at_exit, PointerGetDatum(&tag));
	if (LockAcquire(&tag, ShareLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	joined_runner = runner;
	return migration_runner_pid(&migration) == runner;
}

void
migration_join_retry(int migration_id)
{
	LOCKTAG		tag;

	set_migration_lock_tag(&tag, LOCK_RETRY, migration_id);
	(void) LockAcquire(&tag, ShareLock, false, true);
}
