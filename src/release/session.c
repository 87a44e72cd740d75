/*
 * session.c
 *		The registry as seen by a session, and the release it has declared.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "catalog/registry.h"
#include "catalog/session_release.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"
#include "release/session.h"

/*-------------------------------------------------------------------------
 * The registry as seen by this session.
 *
 * Changes are announced by invalidating the relcache entry of tandem.registry.
 * A session notices them when a transaction first looks.  The session's
 * registry and its copy for the transaction have memory contexts of their own.
 *-------------------------------------------------------------------------
 */

static Registry session_registry;
static MemoryContext session_context = NULL;
static bool session_has_one = false;
static uint64 session_generation = 0;	/* generation at which it was read; 0
										 * if not read */

static Registry transaction_registry;
static MemoryContext transaction_context = NULL;
static uint64 transaction_generation = 0;
static LocalTransactionId transaction = InvalidLocalTransactionId;

static void
reset_registry_context(MemoryContext *context)
{
	if (*context == NULL)
		*context = AllocSetContextCreate(TopMemoryContext, "tandem releases",
										 ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(*context);
}

/* While the extension's script runs, only part of its tables exist. */
static bool
extension_is_being_created(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("pg_tandem", true);
}

static void
read_registry_for_session(void)
{
	/* a change during the read makes it be read again */
	uint64		reading = registry_generation();
	MemoryContext caller;

	session_generation = 0;
	session_has_one = OidIsValid(registry_relid());
	if (session_has_one)
	{
		reset_registry_context(&session_context);
		caller = MemoryContextSwitchTo(session_context);
		registry_read(&session_registry);
		MemoryContextSwitchTo(caller);
	}
	session_generation = reading;
}

/*
 * Returns the current registry, which may differ from what the transaction has
 * seen before, or NULL as in registry_for_transaction.
 */
static const Registry *
registry_as_of_now(void)
{
	if (extension_is_being_created())
		return NULL;
	AcceptInvalidationMessages();
	if (session_generation != registry_generation())
		read_registry_for_session();
	return session_has_one ? &session_registry : NULL;
}

const Registry *
registry_or_error(void)
{
	const Registry *registry = registry_as_of_now();

	if (registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the release registry is not there"),
				 errdetail("Extension pg_tandem is being created or altered, or its tables do not belong to it any more."),
				 errhint("Ask again when that has ended.")));
	return registry;
}

/* Copies nothing if it has not changed since the last transaction. */
static void
copy_registry_for_transaction(const Registry *registry)
{
	Size		size = sizeof(ReleaseRange) * registry->nready;

	if (transaction_generation == session_generation)
		return;
	reset_registry_context(&transaction_context);
	transaction_registry = *registry;
	transaction_registry.ready = MemoryContextAlloc(transaction_context, size);
	memcpy(transaction_registry.ready, registry->ready, size);
	transaction_generation = session_generation;
}

const Registry *
registry_for_transaction(void)
{
	LocalTransactionId now = compat_local_transaction_id();
	const Registry *registry;

	if (now == transaction)
		return &transaction_registry;
	registry = registry_as_of_now();
	if (registry == NULL)
		return NULL;
	copy_registry_for_transaction(registry);
	transaction = now;
	return &transaction_registry;
}

/*-------------------------------------------------------------------------
 * Sessions that have declared their release.
 *-------------------------------------------------------------------------
 */

/* objsubid that identifies these locks on the address; see tandem.sessions */
#define LOCK_DECLARED 1

/*
 * The same mode for all sessions, which does not conflict with itself and is
 * allowed during recovery: sessions declare a release on a standby, too, and
 * keep the lock after its promotion.
 */
#define DECLARED_MODE AccessShareLock

/*
 * A session that releases all its advisory locks has no mark and no release
 * for a moment.  So look again before refusing because of it.
 */
#define UNDECLARED_LOOKS 5
#define UNDECLARED_LOOK_EVERY_MS 50

static LOCKTAG held;			/* field3 is the release; 0 if none is
								 * declared */

static void
set_release_lock_tag(LOCKTAG *tag, int release)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, registry_relid(), release,
					   LOCK_DECLARED);
	/* like an advisory lock it survives an abort, and ends with the process */
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

bool
session_has_declared(void)
{
	return held.locktag_field3 != 0;
}

void
session_undeclare_release(void)
{
	if (session_has_declared() && compat_lock_is_held(&held, DECLARED_MODE))
		(void) LockRelease(&held, DECLARED_MODE, true);
	held.locktag_field3 = 0;
}

/*
 * DISCARD ALL releases the lock; take it again at the end of that transaction.
 */
static void
retake_release_lock(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) &&
		session_has_declared() && session_release() > 0)
		session_declare_release(session_release());
}

void
session_declare_release(int release)
{
	static bool watching = false;
	LOCKTAG		wanted;

	if (!watching)
		RegisterXactCallback(retake_release_lock, NULL);
	watching = true;

	if (!OidIsValid(registry_relid()))
		return;
	set_release_lock_tag(&wanted, release);
	/* a pooler may have released all advisory locks meanwhile */
	if (compat_lock_is_held(&wanted, DECLARED_MODE))
		return;
	session_undeclare_release();
	(void) LockAcquire(&wanted, DECLARED_MODE, true, false);
	held = wanted;
}

static void
begin_sessions_query(TandemQuery *query, int release, List *relids,
					 int migration_id)
{
	/* else pg_stat_activity would be as of the first look */
	pgstat_clear_snapshot();
	query_begin(query);
	query_int(query, release);
	query_oid_list(query, relids);
	query_int(query, migration_id);
}

/*
 * A transaction is given as "pid:virtualxid" for a session, or as "xid" if
 * prepared.
 */
List *
sessions_in_transaction_before(const Migration *migration, List *relids)
{
	TandemQuery query;
	List	   *found;

	begin_sessions_query(&query, migration->release, relids, migration->id);
	found = query_texts(&query,
						"SELECT transaction FROM tandem._transactions_before($1, $2, $3) "
						"ORDER BY transaction NOT LIKE '%:%', transaction");
	query_end(&query);
	return found;
}

List *
sessions_before_release(const Migration *migration, List *relids)
{
	TandemQuery query;
	List	   *pids;

	begin_sessions_query(&query, migration->release, relids, migration->id);
	pids = query_texts(&query,
					   "SELECT pid::text FROM tandem._concerned_sessions($2, $3) c WHERE release < $1 ORDER BY c.pid");
	query_end(&query);
	return pids;
}

/* Returns descriptions of pids (strings); ended sessions are left out. */
static List *
describe_sessions(List *pids)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, pids)
	{
		char	   *name = lock_describe_session(atoi(lfirst(lc)));

		if (name)
			lines = lappend(lines, name);
	}
	return lines;
}

char *
sessions_using_release(int release, List *relids)
{
	TandemQuery query;
	List	   *pids;
	List	   *sessions;

	begin_sessions_query(&query, release, relids, 0);
	pids = query_texts(&query,
					   "SELECT pid::text FROM tandem._concerned_sessions(nullif($2, '{}'), $3) c WHERE release = $1 ORDER BY c.pid");
	query_end(&query);
	sessions = describe_sessions(pids);
	return sessions == NIL ? NULL : text_joined(sessions, "", ", ");
}

static bool
transaction_is_still_there(const char *transaction)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, transaction);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND granted AND virtualxid = virtualtransaction "
											 "AND pid || ':' || virtualxid = $1 "
											 "UNION ALL SELECT FROM pg_prepared_xacts WHERE transaction::text = $1"));
}

List *
sessions_transactions_left(List *found, char **text)
{
	List	   *left = NIL;
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, found)
	{
		char	   *transaction = lfirst(lc);
		char	   *name;

		if (!transaction_is_still_there(transaction))
			continue;
		left = lappend(left, transaction);
		name = strchr(transaction, ':')
			? lock_describe_session(atoi(transaction))
			: lock_describe_prepared((TransactionId) strtoul(transaction, NULL, 10));
		appendStringInfo(&names, "%s%s", names.len ? ", " : "",
						 name ? name : transaction);
	}
	*text = names.data;
	return left;
}

/*
 * Returns the pids of sessions without a declared release: marked ones, or
 * others.
 */
static List *
list_undeclared_sessions(int migration_id, bool writers)
{
	TandemQuery query;
	List	   *pids;

	pgstat_clear_snapshot();
	query_begin(&query);
	query_int(&query, migration_id);
	query_bool(&query, writers);
	pids = query_texts(&query,
					   "SELECT pid::text FROM tandem._undeclared_sessions($1) u WHERE has_written = $2 ORDER BY u.pid");
	query_end(&query);
	return pids;
}

List *
sessions_undeclared_writers(int migration_id, bool may_wait)
{
	List	   *pids = list_undeclared_sessions(migration_id, true);

	for (int look = 1; may_wait && look < UNDECLARED_LOOKS && pids != NIL; look++)
	{
		interruptible_sleep(UNDECLARED_LOOK_EVERY_MS);
		pids = list_undeclared_sessions(migration_id, true);
	}
	return describe_sessions(pids);
}

List *
sessions_undeclared_others(int migration_id)
{
	return describe_sessions(list_undeclared_sessions(migration_id, false));
}

/*-------------------------------------------------------------------------
 * Sessions that have preloaded the library.
 *
 * Each holds a lock that says so, whether or not it declares a release.  The
 * lock has nothing of the extension in it, which may be created later.
 *-------------------------------------------------------------------------
 */

/* objid and objsubid of these locks; see tandem._sessions_not_fenced */
#define FENCED_OBJECT 0
#define LOCK_FENCED 1

static bool all_are_fenced = false;

static void
take_fenced_lock(void)
{
	LOCKTAG		tag;

	/*
	 * contract does not run on a standby, whose WAIT FOR LSN (19) refuses a
	 * session that holds any lock; after a promotion the next commit takes it
	 */
	if (RecoveryInProgress())
		return;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, FENCED_OBJECT,
					   LOCK_FENCED);
	tag.locktag_lockmethodid = USER_LOCKMETHOD;
	/* if the lock table is full, contract counts one session too many */
	if (!compat_lock_is_held(&tag, DECLARED_MODE))
		(void) compat_lock_try(&tag, DECLARED_MODE, true);
}

static void
retake_fenced_lock(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		take_fenced_lock();
}

void
session_note_fenced(void)
{
	RegisterXactCallback(retake_fenced_lock, NULL);
	take_fenced_lock();
}

void
sessions_are_all_fenced(void)
{
	all_are_fenced = true;
}

int
sessions_not_fenced(void)
{
	TandemQuery query;

	if (all_are_fenced)
		return 0;
	pgstat_clear_snapshot();
	query_begin(&query);
	return query_end_int(&query, query_run(&query,
										   "SELECT count(*)::integer FROM tandem._sessions_not_fenced"));
}
