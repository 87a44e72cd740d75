/*
 * owned_column.c
 *		tandem.owned_column: columns that a migration has added.
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
owned_column_add(int migration_id, Oid relid, const char *column, bool named)
{
	AttrNumber	number = get_attnum(relid, column);
	TandemQuery query;
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, number, &type, &typmod, &collation);
	query_begin(&query);
	if (named)
	{
		query_int(&query, migration_id);
		query_oid(&query, relid);
		query_int(&query, number);
		(void) query_run(&query,
						 "DELETE FROM tandem.owned_column "
						 "WHERE relation = $2 AND number = $3 AND migration <> $1 AND NOT named");
	}
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	query_text(&query, owned_column_type_text(type, typmod));
	query_int(&query, number);
	query_bool(&query, named);
	(void) query_run(&query,
					 "INSERT INTO tandem.owned_column AS c (migration, relation, column_name, type, number, named) "
					 "SELECT $1, $2::regclass, $3, $4, $5, $6 "
					 "WHERE NOT EXISTS (SELECT FROM tandem.owned_column o JOIN tandem.migration m ON m.id = o.migration "
					 "WHERE o.relation = $2 AND o.number = $5 AND o.migration <> $1 AND m.phase NOT IN ('done', 'aborted')) "
					 "ON CONFLICT (migration, relation, column_name) DO UPDATE SET type = excluded.type, number = excluded.number, "
					 "renamed = NULL, stays = false, named = excluded.named OR c.named AND c.number = excluded.number");
	query_end(&query);
}

char *
owned_column_type(int migration_id, Oid relid, const char *column)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT type FROM tandem.owned_column "
												   "WHERE migration = $1 AND relation = $2 AND column_name = $3 AND named"));
}

void
owned_column_note(int migration_id, Oid relid, const char *column,
				  const ColumnArguments *arguments)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	query_text(&query, arguments->default_given);
	query_bool(&query, arguments->not_null);
	(void) query_run(&query,
					 "UPDATE tandem.owned_column SET default_given = $4, not_null = $5 "
					 "WHERE migration = $1 AND relation = $2 AND column_name = $3");
	query_end(&query);
}

void
owned_column_note_old(int migration_id, Oid relid, const char *column,
					  const char *old_column)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	query_name(&query, old_column);
	(void) query_run(&query,
					 "UPDATE tandem.owned_column SET old_not_null = a.attnotnull, "
					 "old_default = pg_get_expr(d.adbin, d.adrelid), old_default_tree = hashtextextended(d.adbin::text, 0)::text "
					 "FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
					 "WHERE migration = $1 AND relation = $2 AND column_name = $3 AND a.attrelid = $2 AND a.attname = $4");
	query_end(&query);
}

void
owned_column_read(int migration_id, Oid relid, const char *column,
				  ColumnArguments *arguments)
{
	TandemQuery query;

	memset(arguments, 0, sizeof(ColumnArguments));
	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	if (query_run_latest(&query,
						 "SELECT default_given, not_null FROM tandem.owned_column "
						 "WHERE migration = $1 AND relation = $2 AND column_name = $3") > 0)
	{
		arguments->default_given = query_get_text(0, 1);
		arguments->not_null = query_get_bool(0, 2);
	}
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
						  "SELECT name::text FROM tandem._owned_columns "
						  "WHERE migration = $1 AND relation = $2 ORDER BY number");
	query_end(&query);
	return columns;
}

void
owned_column_follow_names(Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	(void) query_run(&query,
					 "UPDATE tandem.owned_column o SET renamed = nullif(a.attname, o.column_name) FROM pg_attribute a "
					 "WHERE o.relation = $1 AND a.attrelid = $1 AND a.attnum = o.number AND NOT a.attisdropped "
					 "AND o.renamed IS DISTINCT FROM nullif(a.attname, o.column_name)");
	query_end(&query);
}

void
owned_column_keep_new(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "UPDATE tandem.owned_column o SET stays = true FROM tandem._owned_columns c, tandem.sync s "
					 "WHERE s.migration = $1 AND s.stored AND c.migration <> $1 AND c.relation = s.relation "
					 "AND c.name = ANY (s.new_columns) AND o.migration = c.migration AND o.relation = c.relation "
					 "AND o.number = c.number");
	query_end(&query);
}
