/*
 * blockers.c
 *		Who is in the way of a process.
 *
 * CREATE INDEX CONCURRENTLY waits for other transactions by their virtual ids,
 * one after the other; a prepared one is known by its own.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "core/lock.h"
#include "core/query.h"
#include "worker/blockers.h"

static void
append(StringInfo text, char *blocker)
{
	appendStringInfo(text, "%s%s", text->len ? ", " : "", blocker);
}

char *
blockers_of(int pid)
{
	TandemQuery query;
	StringInfoData text;
	List	   *holders;
	List	   *prepared;
	ListCell   *lc;

	query_begin(&query);
	query_int(&query, pid);
	holders = query_oids(&query,
						 "SELECT DISTINCT b::oid FROM unnest(pg_blocking_pids($1)) b WHERE b > 0");
	query_int(&query, pid);
	prepared = query_oids(&query,
						  "SELECT DISTINCT x.transaction::text::oid FROM pg_locks w JOIN pg_locks h "
						  "ON h.granted AND h.pid IS NULL AND (h.locktype, h.database, h.relation, h.virtualxid, h.transactionid) "
						  "IS NOT DISTINCT FROM (w.locktype, w.database, w.relation, w.virtualxid, w.transactionid) "
						  "JOIN pg_locks t ON t.virtualtransaction = h.virtualtransaction AND t.locktype = 'transactionid' "
						  "JOIN pg_prepared_xacts x ON x.transaction = t.transactionid "
						  "WHERE w.pid = $1 AND NOT w.granted");
	query_end(&query);
	initStringInfo(&text);
	foreach(lc, holders)
		append(&text, lock_session_mark((int) lfirst_oid(lc)));
	foreach(lc, prepared)
		append(&text, lock_prepared_mark((TransactionId) lfirst_oid(lc)));
	return text.len > 0 ? text.data : NULL;
}
