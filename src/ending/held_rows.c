/*
 * held_rows.c
 *		Rows of the catalogs that other transactions have changed and not committed.
 *
 * To change such a row is to wait for the transaction, and those who use the tables would
 * wait behind.  So it is asked before: the number of the transaction is in the row.
 */
#include "postgres.h"

#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"
#include "ending/held_rows.h"

static void *
read_line(uint64 row)
{
	char	   *line = query_get_text(row, 1);
	char	   *pid = query_get_text(row, 2);
	char	   *xid = query_get_text(row, 3);
	char	   *session = pid ? lock_describe_session(atoi(pid)) : NULL;

	return psprintf("%s: %s", line, session ? session
					: lock_describe_transaction((TransactionId) strtoul(xid, NULL, 10)));
}

List *
held_rows(List *relids, List *functions)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_oid_list(&query, functions);
	lines = query_rows(&query,
					   "SELECT line, pid::text, xid FROM tandem._held_rows($1, $2) ORDER BY line COLLATE \"C\"",
					   read_line);
	query_end(&query);
	return lines;
}

void
held_rows_check(const Migration *migration, List *relids, List *functions)
{
	List	   *lines = held_rows(relids, functions);

	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("another session has changed what the end of migration \"%s\" changes, too, and has not committed",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Let those transactions end, or end them with pg_terminate_backend(pid) or ROLLBACK PREPARED, and call it again; nothing was changed.")));
}
