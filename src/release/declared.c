/*
 * declared.c
 *		Sessions that have declared their release.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"

#include "catalog/registry.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "release/declared.h"

/* told from other locks on that address by objsubid: see tandem.sessions */
#define LOCK_DECLARED 1

/*
 * The same mode for all, one that does not conflict with itself and is allowed
 * during recovery: sessions declare themselves on a standby too, and keep the
 * lock when it is promoted.
 */
#define DECLARED_MODE AccessShareLock

/*
 * Where the library is loaded by the postmaster, a session declares itself by
 * its first statement: one that has just connected is given time for that.
 */
#define UNDECLARED_LOOKS 5
#define UNDECLARED_LOOK_EVERY_MS 50

static LOCKTAG held;			/* field3 is a release; 0: none was declared */

static void
set_tag(LOCKTAG *tag, int release)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, registry_relid(), release,
					   LOCK_DECLARED);
	/* like an advisory lock it outlives an abort, and ends with the process */
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

bool
declared_is_held(void)
{
	return held.locktag_field3 != 0;
}

void
declared_release(void)
{
	if (declared_is_held() && compat_lock_is_held(&held, DECLARED_MODE))
		(void) LockRelease(&held, DECLARED_MODE, true);
	held.locktag_field3 = 0;
}

void
declared_hold(int release)
{
	LOCKTAG		wanted;

	if (!OidIsValid(registry_relid()))
		return;
	set_tag(&wanted, release);
	/* a pooler may have given all advisory locks back meanwhile */
	if (compat_lock_is_held(&wanted, DECLARED_MODE))
		return;
	declared_release();
	(void) LockAcquire(&wanted, DECLARED_MODE, true, false);
	held = wanted;
}

/* A transaction: of a session "pid:virtualxid", or a prepared one "xid". */
List *
declared_transactions(int release, List *relids)
{
	TandemQuery query;
	List	   *found;

	query_begin(&query);
	query_int(&query, release);
	query_oid_list(&query, relids);
	found = query_texts(&query,
						"SELECT t FROM (SELECT DISTINCT v.pid || ':' || v.virtualxid FROM tandem.declared_sessions() d "
						"JOIN pg_locks v ON v.pid = d.pid AND v.locktype = 'virtualxid' AND v.granted AND v.virtualxid = v.virtualtransaction "
						"WHERE d.release < $1 AND d.pid <> pg_backend_pid() "
						"UNION SELECT DISTINCT x.transaction::text FROM pg_prepared_xacts x "
						"JOIN pg_locks t ON t.locktype = 'transactionid' AND t.transactionid = x.transaction "
						"JOIN pg_locks r ON r.virtualtransaction = t.virtualtransaction AND r.locktype = 'relation' "
						"AND r.relation = ANY ($2) WHERE x.database = current_database()) q (t) ORDER BY t NOT LIKE '%:%', t");
	query_end(&query);
	return found;
}

List *
declared_sessions_before(int release)
{
	TandemQuery query;
	List	   *pids;

	query_begin(&query);
	query_int(&query, release);
	pids = query_texts(&query,
					   "SELECT d.pid::text FROM tandem.declared_sessions() d "
					   "WHERE d.release < $1 AND d.pid <> pg_backend_pid() ORDER BY d.pid");
	query_end(&query);
	return pids;
}

static bool
is_still_there(const char *transaction)
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
declared_still_there(List *found, char **text)
{
	List	   *left = NIL;
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, found)
	{
		char	   *transaction = lfirst(lc);
		char	   *name;

		if (!is_still_there(transaction))
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

/* Process ids of the sessions that may write and have declared nothing. */
static List *
undeclared_sessions(List *relids)
{
	TandemQuery query;
	List	   *pids;

	/* else the sessions would be those of the first look */
	pgstat_clear_snapshot();
	query_begin(&query);
	query_oid_list(&query, relids);
	pids = query_texts(&query,
					   "SELECT a.pid::text FROM pg_stat_activity a "
					   "WHERE a.backend_type = 'client backend' AND a.datname = current_database() "
					   "AND a.pid <> pg_backend_pid() "
					   "AND NOT EXISTS (SELECT FROM tandem.declared_sessions() d WHERE d.pid = a.pid) "
					   "AND EXISTS (SELECT FROM unnest($1) r WHERE has_table_privilege(a.usesysid, r, 'INSERT, UPDATE, DELETE')) "
					   "ORDER BY a.pid");
	query_end(&query);
	return pids;
}

List *
declared_not(List *relids)
{
	List	   *pids = undeclared_sessions(relids);
	List	   *lines = NIL;
	ListCell   *lc;

	for (int look = 1; look < UNDECLARED_LOOKS && pids != NIL; look++)
	{
		interruptible_sleep(UNDECLARED_LOOK_EVERY_MS);
		pids = undeclared_sessions(relids);
	}
	foreach(lc, pids)
	{
		char	   *name = lock_describe_session(atoi(lfirst(lc)));

		if (name)
			lines = lappend(lines, name);
	}
	return lines;
}
