/*
 * process.c
 *		Starts background workers, and does what each worker does first.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/migration_lock.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/settings.h"
#include "core/text.h"
#include "run/process.h"

/*-------------------------------------------------------------------------
 * The number of background workers that a role may have at a time.
 *
 * Each worker of a role holds one of a number of locks on the role.  They are
 * told apart by objsubid, from 1; the server itself locks a role with objsubid
 * 0.  Like workers, the locks belong to no database.  They are session locks
 * but not advisory ones, which a user's function could release.
 *-------------------------------------------------------------------------
 */

/* a runner and a worker for its statements */
#define SMALLEST_QUOTA 2

static LOCKTAG taken;

/* Returns 0 if there is no limit. */
static int
quota_of_role(Oid role, bool spare)
{
	int			quota = setting_max_workers_per_role > 0
	? setting_max_workers_per_role : max_worker_processes / 2;

	if (!OidIsValid(role) || superuser_arg(role))
		return 0;
	return Max(quota, SMALLEST_QUOTA) - (spare ? 1 : 0);
}

static void
set_quota_lock_tag(LOCKTAG *tag, Oid role, int number)
{
	SET_LOCKTAG_OBJECT(*tag, InvalidOid, AuthIdRelationId, role, number);
}

static bool
quota_number_is_taken(Oid role, int number)
{
	LOCKTAG		tag;
	int			count;

	set_quota_lock_tag(&tag, role, number);
	pfree(GetLockConflicts(&tag, ExclusiveLock, &count));
	return count > 0;
}

/*
 * May the role have one more worker?  With spare, leave the last one for
 * statements at top level, without which no run can continue.  InvalidOid
 * stands for the server itself, which is not limited.
 */
static bool
quota_is_left(Oid role, bool spare)
{
	int			quota = quota_of_role(role, spare);

	for (int number = 1; number <= quota; number++)
	{
		if (!quota_number_is_taken(role, number))
			return true;
	}
	return quota == 0;
}

/* The server does not release such a session lock when a process exits. */
static void
give_quota_back_at_exit(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	if (compat_lock_is_held(&taken, ExclusiveLock))
		(void) LockRelease(&taken, ExclusiveLock, true);
}

bool
quota_try(Oid role, bool spare)
{
	static bool registered = false;
	int			quota = quota_of_role(role, spare);

	if (quota == 0 ||
		(registered && compat_lock_is_held(&taken, ExclusiveLock)))
		return true;
	if (!registered)
		before_shmem_exit(give_quota_back_at_exit, (Datum) 0);
	registered = true;
	for (int number = 1; number <= quota; number++)
	{
		set_quota_lock_tag(&taken, role, number);
		if (LockAcquire(&taken, ExclusiveLock, true, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

/* Like quota_try, but throws an error if the quota is used up. */
static void
quota_take(Oid role, bool spare)
{
	if (!quota_try(role, spare))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has all the background workers that it may have",
						GetUserNameFromId(role, false)),
				 errhint("Wait until some have ended, or raise tandem.max_workers_per_role.")));
}

/*-------------------------------------------------------------------------
 * Starting background workers, and what each does first.
 *-------------------------------------------------------------------------
 */

/*
 * A role or database may have its own values, which are meant for its clients.
 */
static const char *const settings_of_workers[][2] = {
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"transaction_timeout", "0"},	/* since 17 */
	/* how statements of steps are written and read, and where they build */
	{"standard_conforming_strings", "on"},
	{"intervalstyle", "postgres"},
	{"default_tablespace", ""},
	{"application_name", "pg_tandem"},
};

/* Does the server let a worker connect as the role? */
static bool
role_can_connect(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		can;

	if (!HeapTupleIsValid(tuple))
		return true;			/* let the server report it */
	can = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin ||
		!COMPAT_WORKER_NEEDS_LOGIN;
	ReleaseSysCache(tuple);
	return can && compat_has_database_right(role, ACL_CONNECT);
}

void
process_order_init(ProcessOrder *order, Oid role)
{
	memset(order, 0, sizeof(ProcessOrder));
	order->database = MyDatabaseId;
	order->runner = migration_runner_of_process();
	order->maintenance_work_mem = maintenance_work_mem;
	order->max_parallel_maintenance_workers = max_parallel_maintenance_workers;
	order->role = role;
	order->payer = GetUserId();
	order->borrowed = OidIsValid(role) && !role_can_connect(role);
}

/* Returns the role's limit of connections, or -1 if it has none. */
static int
role_connection_limit(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	int			limit = -1;

	if (HeapTupleIsValid(tuple))
	{
		limit = ((Form_pg_authid) GETSTRUCT(tuple))->rolconnlimit;
		ReleaseSysCache(tuple);
	}
	return limit;
}

static int
database_connection_limit(bool *closed)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(MyDatabaseId));
	int			limit = -1;

	*closed = false;
	if (HeapTupleIsValid(tuple))
	{
		limit = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit;
		*closed = !((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
		ReleaseSysCache(tuple);
	}
	return limit;
}

void
process_explain_failure(const ProcessOrder *order, char **detail, char **hint)
{
	const char *database = quote_identifier(get_database_name(MyDatabaseId));
	char	   *role = GetUserNameFromId(order->role, true);
	bool		closed;
	int			of_database = database_connection_limit(&closed);
	int			of_role = role_connection_limit(order->role);

	if (closed)
	{
		*detail = psprintf("Database %s does not accept connections.", database);
		*hint = psprintf("Run ALTER DATABASE %s ALLOW_CONNECTIONS true, then call it again.",
						 database);
	}
	else if (role == NULL)
	{
		*detail = psprintf("The role with OID %u, as which it was to run, does not exist any more.",
						   order->role);
		*hint = pstrdup("CALL tandem.migrate as a role that owns the tables.");
	}
	else if (!order->borrowed && !role_can_connect(order->role))
	{
		*detail = psprintf("Role \"%s\" cannot connect to database %s any more.",
						   role, database);
		*hint = pstrdup("Call it again: the next worker connects without that role.");
	}
	else if (!order->borrowed && of_role >= 0)
	{
		*detail = psprintf("Role \"%s\" may have %d connections at most; the server's log tells whether that was the reason.",
						   role, of_role);
		*hint = psprintf("Run ALTER ROLE %s CONNECTION LIMIT -1, then call it again.",
						 quote_identifier(role));
	}
	else if (!order->borrowed && of_database >= 0)
	{
		*detail = psprintf("Database %s may have %d connections at most; the server's log tells whether that was the reason.",
						   database, of_database);
		*hint = psprintf("Run ALTER DATABASE %s CONNECTION LIMIT -1, then call it again.",
						 database);
	}
	else
	{
		*detail = psprintf("It was to run as role \"%s\"; the server's log tells why it did not come so far.",
						   role);
		*hint = pstrdup("CALL tandem.migrate again: it goes on where it was.");
	}
}

BackgroundWorkerHandle *
process_start(const char *function, const char *name,
			  const ProcessOrder *order)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	if (!quota_is_left(order->payer, order->spare))
		return NULL;
	StaticAssertStmt(sizeof(ProcessOrder) <= BGW_EXTRALEN,
					 "order must fit into bgw_extra");
	extension_refuse_upgrade();
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there are no background workers in single-user mode"),
				 errhint("Start the server, and call it again in a session.")));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "$libdir/pg_tandem", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pg_tandem", BGW_MAXLEN);
	text_copy(worker.bgw_name, psprintf("pg_tandem: %s", name), BGW_MAXLEN);
	memcpy(worker.bgw_extra, order, sizeof(ProcessOrder));
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

/*
 * Applies the settings that the session would have started with if the role
 * had connected itself.
 */
static void
take_role_settings(Oid role)
{
	Relation	settings = table_open(DbRoleSettingRelationId, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetCatalogSnapshot(DbRoleSettingRelationId));

	/* what is set first wins, since later sources in this list are weaker */
	ApplySetting(snapshot, MyDatabaseId, role, settings, PGC_S_DATABASE_USER);
	ApplySetting(snapshot, InvalidOid, role, settings, PGC_S_USER);
	UnregisterSnapshot(snapshot);
	table_close(settings, AccessShareLock);
}

/*
 * Applies the settings with which the requesting session would build an index.
 */
static void
take_build_settings(const ProcessOrder *order)
{
	if (order->maintenance_work_mem == 0)
		return;
	SetConfigOption("maintenance_work_mem",
					psprintf("%d", order->maintenance_work_mem), PGC_USERSET,
					PGC_S_SESSION);
	SetConfigOption("max_parallel_maintenance_workers",
					psprintf("%d", order->max_parallel_maintenance_workers),
					PGC_USERSET, PGC_S_SESSION);
}

/*
 * What statements evaluate, such as a function of a CHECK, and the event triggers
 * that they fire, may find their names as in the session that expanded.  The
 * default of the role may be another.
 */
void
process_take_expand_path(int migration_id, Oid relid)
{
	/* without one, what the session began with */
	SetConfigOption("search_path", sync_expand_path(migration_id, relid),
					PGC_USERSET, PGC_S_SESSION);
}

/* The extension's schema when the process started. */
static Oid	schema_at_begin = InvalidOid;

/*
 * An abort releases session locks, and the exit of a process does not.  Called
 * after what is registered later.
 */
static void
release_session_locks_at_exit(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	AbortCurrentTransaction();
}

/*
 * Connects with the rights of the order, takes the role's quota lock, and sets
 * what long work needs.
 */
static void
begin_process(ProcessOrder *order)
{
	memcpy(order, MyBgworkerEntry->bgw_extra, sizeof(ProcessOrder));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(order->database,
											  order->borrowed ? InvalidOid : order->role,
											  COMPAT_WORKER_FLAGS);
	before_shmem_exit(release_session_locks_at_exit, (Datum) 0);
	StartTransactionCommand();
	quota_take(order->payer, order->spare);
	if (order->borrowed)
		take_role_settings(order->role);
	for (int i = 0; i < (int) lengthof(settings_of_workers); i++)
	{
		if (GetConfigOption(settings_of_workers[i][0], true, false))
			SetConfigOption(settings_of_workers[i][0],
							settings_of_workers[i][1], PGC_USERSET,
							PGC_S_SESSION);
	}
	take_build_settings(order);
	schema_at_begin = extension_schema();
	CommitTransactionCommand();
	/* between transactions, so that it survives the abort of any of them */
	if (order->borrowed)
		authority_borrow_session(order->role);
}

bool
process_extension_is_gone(void)
{
	bool		gone;

	StartTransactionCommand();
	gone = !OidIsValid(schema_at_begin) ||
		extension_schema() != schema_at_begin;
	CommitTransactionCommand();
	if (gone)
		ereport(DEBUG1,
				(errmsg_internal("extension pg_tandem was dropped: nothing is left to do")));
	return gone;
}

void
process_run(void (*work) (const ProcessOrder *order))
{
	ProcessOrder order;

	begin_process(&order);
	PG_TRY();
	{
		work(&order);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(TopMemoryContext);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		if (!process_extension_is_gone())
			ReThrowError(error);
	}
	PG_END_TRY();
}

/* What is to be done when the process exits now, the last first. */
typedef struct Cleanup
{
	void		(*cleanup) (void *);
	void	   *arg;
	struct Cleanup *outer;
} Cleanup;

static Cleanup *cleanups = NULL;

static void
run_last_cleanup(void)
{
	Cleanup    *last = cleanups;

	/* one that fails is not called again */
	cleanups = last->outer;
	last->cleanup(last->arg);
}

static void
clean_up_at_exit(int code, Datum arg)
{
	while (cleanups)
		run_last_cleanup();
}

void
process_with_cleanup(void (*work) (void *), void (*cleanup) (void *), void *arg)
{
	static bool registered = false;
	Cleanup		this = {cleanup, arg, cleanups};

	if (!registered)
		before_shmem_exit(clean_up_at_exit, (Datum) 0);
	registered = true;
	cleanups = &this;
	PG_TRY();
	{
		work(arg);
	}
	PG_CATCH();
	{
		run_last_cleanup();
		PG_RE_THROW();
	}
	PG_END_TRY();
	run_last_cleanup();
}

void
process_reload_settings(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

List *
process_list_databases(Oid catalog, Oid (*database_of) (HeapTuple))
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(catalog, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		MemoryContext transaction = MemoryContextSwitchTo(caller);
		Oid			database = database_of(tuple);

		if (OidIsValid(database))
			databases = list_append_unique_oid(databases, database);
		MemoryContextSwitchTo(transaction);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

/*-------------------------------------------------------------------------
 * A worker's SPI connection, equivalent to that of a procedure that may
 * commit.
 *
 * The memory of such a connection belongs to a portal, which a worker does not
 * have.  This context takes its place.
 *-------------------------------------------------------------------------
 */

static MemoryContext session_context = NULL;

void
session_begin(void)
{
	if (session_context == NULL)
		session_context = AllocSetContextCreate(TopMemoryContext,
												"tandem session",
												ALLOCSET_DEFAULT_SIZES);
	PortalContext = session_context;
	StartTransactionCommand();
	SPI_connect_ext(SPI_OPT_NONATOMIC);
}

void
session_end(void)
{
	SPI_finish();
	CommitTransactionCommand();
	MemoryContextReset(session_context);
}

void
session_abort(void)
{
	AbortOutOfAnyTransaction();
	MemoryContextReset(session_context);
}
