/*
 * columns.c
 *		Drops columns at the end of a migration, and finds what prevents
 *		that.
 *
 * The functions tandem._column_* of the extension's script query the server's
 * catalogs for both.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/key.h"

/* Returns the names of keys that the migration adds to the table. */
static List *
names_of_added_keys(Oid relid, int migration_id)
{
	Oid			root = table_root(relid);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, step_list(migration_id, STEP_CONSTRAINT))
	{
		Step	   *step = lfirst(lc);

		if (step->relation == root)
			names = lappend(names, key_leaf_name(step->relation, relid,
												 step->object));
	}
	return names;
}

static void
begin_column_query(TandemQuery *query, Oid relid, const char *name)
{
	query_begin(query);
	query_oid(query, relid);
	query_int(query, get_attnum(relid, name));
}

/* Sorted alike in every database, whatever its collation. */
static List *
end_column_query(TandemQuery *query, const char *sql)
{
	List	   *lines = query_texts(query, sql);

	query_end(query);
	return lines;
}

List *
column_dependents(Oid relid, const char *name, int migration_id)
{
	TandemQuery query;

	begin_column_query(&query, relid, name);
	query_int(&query, migration_id);
	return end_column_query(&query,
							"SELECT line FROM tandem._column_dependents($1, $2, $3) ORDER BY line COLLATE \"C\"");
}

List *
column_keys(Oid relid, const char *name, int migration_id)
{
	TandemQuery query;

	begin_column_query(&query, relid, name);
	return end_column_query(&query,
							"SELECT line FROM tandem._column_keys($1, $2) ORDER BY line COLLATE \"C\"");
}

List *
column_moved_keys(Oid relid, const char *name, int migration_id)
{
	List	   *added = names_of_added_keys(relid, migration_id);
	TandemQuery query;

	begin_column_query(&query, relid, name);
	query_datum(&query, NAMEARRAYOID, array_from_strings(added, NAMEOID), false);
	return end_column_query(&query,
							"SELECT line FROM tandem._column_moved_keys($1, $2, $3) ORDER BY line COLLATE \"C\"");
}

List *
column_objects_dropped_with(Oid relid, const char *name, int migration_id)
{
	TandemQuery query;

	begin_column_query(&query, relid, name);
	return end_column_query(&query,
							"SELECT line FROM tandem._column_parts($1, $2) ORDER BY line COLLATE \"C\"");
}

void
column_drop(Oid relid, const char *name)
{
	ddl_run(psprintf("ALTER TABLE %s DROP COLUMN %s RESTRICT",
					 quoting_relation(relid), quote_identifier(name)));
}
