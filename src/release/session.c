/*
 * session.c
 *		The registry as a session sees it, and which release a session has
 *		declared.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "catalog/registry.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"
#include "release/session.h"

/*-------------------------------------------------------------------------
 * The registry as this session sees it.
 *
 * Changes are announced by an invalidation of the relcache entry of
 * tandem.registry, which sessions take notice of at the first look of a
 * transaction.  The registry of the session and its copy for the transaction
 * are each in a context of their own.
 *-------------------------------------------------------------------------
 */

static Registry session_registry;
static MemoryContext session_context = NULL;
static bool session_has_one = false;
static uint64 session_generation = 0;	/* that it was read at; 0: it was not */

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

/* While the script of this extension runs, a part of its tables is there. */
static bool
extension_is_being_created(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("pg_tandem", true);
}

static void
read_registry_for_session(void)
{
	/* a change that comes while it is read makes it be read again */
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

/* The registry as it is now; may differ from what the transaction saw before.  NULL: as there. */
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

/* Where it is the same as that of the last transaction nothing is copied. */
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

/* told from other locks on that address by objsubid: see tandem.sessions */
#define LOCK_DECLARED 1

/*
 * The same mode for all, one that does not conflict with itself and is allowed
 * during recovery: sessions declare themselves on a standby too, and keep the
 * lock when it is promoted.
 */
#define DECLARED_MODE AccessShareLock

/*
 * A session that gives all its advisory locks back is without its mark or
 * without its release for an instant: what is to be refused is looked at again.
 */
#define UNDECLARED_LOOKS 5
#define UNDECLARED_LOOK_EVERY_MS 50

static LOCKTAG held;			/* field3 is a release; 0: none was declared */

static void
set_release_lock_tag(LOCKTAG *tag, int release)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, registry_relid(), release,
					   LOCK_DECLARED);
	/* like an advisory lock it outlives an abort, and ends with the process */
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

/* DISCARD ALL takes the lock away: it comes back with that transaction's end. */
static void
retake_release_lock(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) &&
		session_has_declared() && setting_release > 0)
		session_declare_release(setting_release);
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
	/* a pooler may have given all advisory locks back meanwhile */
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
	/* else the sessions would be those of the first look */
	pgstat_clear_snapshot();
	query_begin(query);
	query_int(query, release);
	query_oid_list(query, relids);
	query_int(query, migration_id);
}

/* A transaction: of a session "pid:virtualxid", or a prepared one "xid". */
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

/* Of pids (strings), for people; those that are gone are left out. */
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
	bool		there;

	query_begin(&query);
	query_text(&query, transaction);
	there = query_run(&query,
					  "SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND granted AND virtualxid = virtualtransaction "
					  "AND pid || ':' || virtualxid = $1 "
					  "UNION ALL SELECT FROM pg_prepared_xacts WHERE transaction::text = $1") > 0;
	query_end(&query);
	return there;
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

/* Process ids of sessions that have declared nothing: marked, or not. */
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
