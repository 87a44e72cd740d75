/*
 * declared.c
 *		Sessions that have declared their release.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "catalog/registry.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "release/declared.h"
#include "storage/lock.h"
#include "utils/builtins.h"

/* told from other locks on that address by objsubid: see tandem.sessions */
#define LOCK_DECLARED 1

/*
 * The same mode for all, one that does not conflict with itself and is allowed
 * during recovery: sessions declare themselves on a standby too, and keep the
 * lock when it is promoted.
 */
#define DECLARED_MODE AccessShareLock

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
static List *
transactions(const char *sql, int release, List *relids)
{
	TandemQuery query;
	List	   *found;
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, relids)
		texts = lappend(texts, psprintf("%u", lfirst_oid(lc)));
	query_begin(&query);
	query_int(&query, release);
	query_datum(&query, TEXTARRAYOID, array_from_strings(texts, TEXTOID),
				false);
	found = query_texts(&query, sql);
	query_end(&query);
	return found;
}

List *
declared_transactions(int release, List *relids)
{
	return transactions("SELECT t FROM (SELECT DISTINCT v.pid || ':' || v.virtualxid FROM tandem.declared_sessions() d "
						"JOIN pg_locks v ON v.pid = d.pid AND v.locktype = 'virtualxid' AND v.granted AND v.virtualxid = v.virtualtransaction "
						"WHERE d.release < $1 AND d.pid <> pg_backend_pid() "
						"UNION SELECT DISTINCT x.transaction::text FROM pg_prepared_xacts x "
						"JOIN pg_locks t ON t.locktype = 'transactionid' AND t.transactionid = x.transaction "
						"JOIN pg_locks r ON r.virtualtransaction = t.virtualtransaction AND r.locktype = 'relation' "
						"AND r.relation = ANY ($2::oid[]) WHERE x.database = current_database()) q (t) ORDER BY t NOT LIKE '%:%', t",
						release, relids);
}

List *
declared_sessions_before(int release)
{
	return transactions("SELECT d.pid::text FROM tandem.declared_sessions() d "
						"WHERE d.release < $1 AND d.pid <> pg_backend_pid() AND $2 IS NOT NULL ORDER BY d.pid",
						release, NIL);
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

List *
declared_not(List *relids)
{
	List	   *pids = transactions("SELECT a.pid::text FROM pg_stat_activity a "
									"WHERE a.backend_type = 'client backend' AND a.datname = current_database() "
									"AND a.pid <> pg_backend_pid() AND $1 = 0 "
									"AND NOT EXISTS (SELECT FROM tandem.declared_sessions() d WHERE d.pid = a.pid) "
									"AND EXISTS (SELECT FROM unnest($2::oid[]) r WHERE has_table_privilege(a.usesysid, r, 'INSERT, UPDATE, DELETE')) "
									"ORDER BY a.pid", 0, relids);
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
