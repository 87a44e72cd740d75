/*
 * owned_column.c
 *		The columns that a migration added: rows of tandem.owned_column.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/owned_column.h"
#include "core/query.h"

char *
owned_column_type_text(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

void
owned_column_add(int migration_id, Oid relid, const char *column)
{
	TandemQuery query;
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, get_attnum(relid, column), &type, &typmod,
						  &collation);
	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	query_text(&query, owned_column_type_text(type, typmod));
	(void) query_run(&query,
					 "INSERT INTO tandem.owned_column VALUES ($1, $2::regclass, $3, $4) "
					 "ON CONFLICT (migration, relation, column_name) DO UPDATE SET type = excluded.type");
	query_end(&query);
}

char *
owned_column_type(int migration_id, Oid relid, const char *column)
{
	TandemQuery query;
	char	   *type = NULL;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	if (query_run_latest(&query,
						 "SELECT type FROM tandem.owned_column "
						 "WHERE migration = $1 AND relation = $2 AND column_name = $3") > 0)
		type = query_get_text(0, 1);
	query_end(&query);
	return type;
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
