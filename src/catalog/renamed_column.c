/*
 * renamed_column.c
 *		Columns that contract renames.
 */
#include "postgres.h"

#include "catalog/renamed_column.h"
#include "core/query.h"

List *
renamed_column_list(Oid relid, int release)
{
	return release == 0 ? NIL : sync_list_renames(relid, release);
}

char *
renamed_column_shown(List *renames, char *column)
{
	char	   *shown = column;
	ListCell   *lc;

	foreach(lc, renames)
	{
		SyncRule   *rule = lfirst(lc);

		if (strcmp(rule_renamed_column(rule), column) == 0)
			shown = rule->new_name;
	}
	return shown;
}

/* The last one: what a column was called may be the name of the one in its place. */
char *
renamed_column_stored(List *renames, const char *name)
{
	char	   *stored = NULL;
	ListCell   *lc;

	foreach(lc, renames)
	{
		char	   *column = rule_renamed_column(lfirst(lc));

		if (strcmp(renamed_column_shown(renames, column), name) == 0)
			stored = column;
	}
	return stored;
}

void
renamed_column_follow(Oid relid, const char *column, const char *new_name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, column);
	query_name(&query, new_name);
	(void) query_run(&query,
					 "UPDATE tandem.sync s SET old_columns = array_replace(s.old_columns, $2::name, $3::name), "
					 "new_columns = array_replace(s.new_columns, $2::name, $3::name) "
					 "FROM tandem.migration m WHERE s.relation = $1 AND m.id = s.migration AND m.phase <> 'aborted' "
					 "AND ($2 = ANY (s.old_columns) OR $2 = ANY (s.new_columns)) "
					 "AND (m.phase <> 'done' OR s.name_left)");
	query_end(&query);
}
