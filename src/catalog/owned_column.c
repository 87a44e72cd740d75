/*
 * owned_column.c
 *		The columns that a migration added: rows of tandem.owned_column.
 */
#include "postgres.h"

#include "catalog/owned_column.h"
#include "core/query.h"

void
owned_column_add(int migration_id, Oid relid, const char *column)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	(void) query_run(&query,
					 "INSERT INTO tandem.owned_column VALUES ($1, $2::regclass, $3) ON CONFLICT DO NOTHING");
	query_end(&query);
}

List *
owned_column_list(int migration_id, Oid relid)
{
	TandemQuery query;
	List	   *columns = NIL;
	uint64		rows;
	MemoryContext old;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	rows = query_run(&query,
					 "SELECT o.column_name::text FROM tandem.owned_column o "
					 "JOIN pg_attribute a ON a.attrelid = o.relation AND a.attname = o.column_name AND NOT a.attisdropped "
					 "WHERE o.migration = $1 AND o.relation = $2 ORDER BY a.attnum");
	old = MemoryContextSwitchTo(query.caller);
	for (uint64 row = 0; row < rows; row++)
		columns = lappend(columns, query_get_text(&query, row, 1));
	MemoryContextSwitchTo(old);
	query_end(&query);
	return columns;
}
