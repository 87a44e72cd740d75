/*
 * view_properties.c
 *		What the view of a release has besides columns and defaults:
 *		privileges and comments, which it takes over from its table, and
 *		options.
 *
 * The owner of the table, who also owns the view, grants on it what any role
 * has granted on the table.  This gives no one more rights, and takes none
 * away: the views check the reader's rights on the table (security_invoker),
 * so a privilege on the view alone is of no use.
 *
 * Each is taken over once.  What was revoked on the view since, or what somebody
 * has written there as a comment, is meant so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "core/query.h"
#include "views/view_properties.h"

static void
begin_properties_query(TandemQuery *query, const ViewProperties *properties)
{
	query_begin(query);
	query_oid(query, properties->view);
	query_oid(query, properties->table);
	query_datum(query, NAMEARRAYOID,
				array_from_strings(properties->from, NAMEOID), false);
	query_datum(query, NAMEARRAYOID,
				array_from_strings(properties->names, NAMEOID), false);
	query_oid(query, properties->owner);
	query_datum(query, TEXTARRAYOID,
				array_from_strings(properties->taken, TEXTOID), false);
}

/* Returns the statements of the query's rows: what is before and after the name. */
static List *
statements_of_rows(uint64 rows, const char *name)
{
	List	   *statements = NIL;

	for (uint64 row = 0; row < rows; row++)
		statements = lappend(statements,
							 psprintf("%s%s%s", query_get_text(row, 1), name,
									  query_get_text(row, 2)));
	return statements;
}

List *
view_properties_new(const ViewProperties *properties, const char *name,
					List **roles)
{
	TandemQuery query;
	List	   *statements;
	uint64		rows;

	begin_properties_query(&query, properties);
	rows = query_run(&query, "SELECT head, tail, role FROM tandem._view_news($1, $2, $3, $4, $5, $6) "
					 "ORDER BY head COLLATE \"C\", tail COLLATE \"C\"");
	statements = statements_of_rows(rows, name);
	*roles = NIL;
	for (uint64 row = 0; row < rows; row++)
	{
		char	   *role = query_get_text(row, 3);

		if (role)
			*roles = lappend(*roles, role);
	}
	query_end(&query);
	return statements;
}

List *
view_properties_own(const ViewProperties *properties, const char *name)
{
	TandemQuery query;
	List	   *statements;

	begin_properties_query(&query, properties);
	statements = statements_of_rows(query_run(&query,
											  "SELECT head, tail FROM tandem._view_properties($1, $4, $4, $5) "
											  "ORDER BY head COLLATE \"C\", tail COLLATE \"C\""),
									name);
	query_end(&query);
	return statements;
}

List *
view_properties_taken(const ViewProperties *properties)
{
	TandemQuery query;
	List	   *taken;

	begin_properties_query(&query, properties);
	taken = query_texts(&query, "SELECT property FROM tandem._view_taken($1, $2, $3, $4, $5, $6) ORDER BY property COLLATE \"C\"");
	query_end(&query);
	return taken;
}

List *
view_properties_of_schema(List *roles, Oid schema)
{
	TandemQuery query;
	List	   *statements;

	query_begin(&query);
	query_datum(&query, TEXTARRAYOID, array_from_strings(roles, TEXTOID), false);
	query_oid(&query, schema);
	statements = query_texts(&query, "SELECT statement FROM tandem._view_schema_grants($1, $2) ORDER BY statement COLLATE \"C\"");
	query_end(&query);
	return statements;
}

char *
view_options(Oid view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view);
	return query_end_text(&query, query_run(&query,
											"SELECT concat_ws(', ', 'security_invoker = true', string_agg(format('%I = %L', o.option_name, o.option_value), ', ')) "
											"FROM pg_class c, pg_options_to_table(c.reloptions) o "
											"WHERE c.oid = $1 AND o.option_name <> 'security_invoker'"));
}
