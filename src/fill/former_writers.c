/*
 * former_writers.c
 *		Transactions that may have written a table before its rows are looked at.
 *
 * A row that a transaction has written under the former definition of a function
 * is not visible to verify before the transaction has ended.  The transaction
 * has the table locked until then, whatever it has locked besides, and the server
 * releases locks after what was committed has become visible.  Prepared
 * transactions count as well.
 */
#include "postgres.h"

#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"
#include "fill/former_writers.h"

#define WRITERS_OF_TABLE \
	"FROM pg_locks l WHERE l.locktype = 'relation' AND l.granted AND l.relation = ANY ($1) " \
	"AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) " \
	"AND l.mode = 'RowExclusiveLock' " \
	"AND l.pid IS DISTINCT FROM pg_backend_pid()"

List *
former_writers_find(List *relids)
{
	TandemQuery query;
	List	   *writers;

	query_begin(&query);
	query_oid_list(&query, relids);
	writers = query_texts(&query,
						  "SELECT DISTINCT l.virtualtransaction " WRITERS_OF_TABLE);
	query_end(&query);
	return writers;
}

char *
former_writers_left(List *relids, List *writers)
{
	TandemQuery query;
	List	   *marks = NIL;
	uint64		rows;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_text(&query, text_joined(writers, "", ","));
	rows = query_run_latest(&query,
							"SELECT DISTINCT coalesce(l.pid, 0), split_part(l.virtualtransaction, '/', 2)::bigint "
							WRITERS_OF_TABLE " AND l.virtualtransaction = ANY (string_to_array($2, ','))");
	for (uint64 row = 0; row < rows; row++)
		marks = lappend(marks, query_get_int(row, 1)
						? lock_session_mark(query_get_int(row, 1))
						: lock_prepared_mark((TransactionId) query_get_bigint(row, 2)));
	query_end(&query);
	return marks == NIL ? NULL : text_joined(marks, "", ", ");
}
