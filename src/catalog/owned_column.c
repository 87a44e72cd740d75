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
	List	   *columns;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	columns = query_texts(&query,
						  "SELECT o.column_name::text FROM tandem.owned_column o "
						  "JOIN pg_attribute a ON a.attrelid = o.relation AND a.attname = o.column_name AND NOT a.attisdropped "
						  "WHERE o.migration = $1 AND o.relation = $2 ORDER BY a.attnum");
	query_end(&query);
	return columns;
}
