/*
 * view_dependents.c
 *		What others have built on the view of a release.
 */
#include "postgres.h"

#include "core/query.h"
#include "core/text.h"
#include "views/view_dependents.h"

List *
view_dependents(Oid view)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, view);
	lines = query_texts(&query,
						"SELECT line FROM tandem._view_dependents($1) ORDER BY line");
	query_end(&query);
	return lines;
}

char *
view_drop_call(Oid view)
{
	TandemQuery query;
	List	   *views = NIL;
	List	   *others = NIL;
	uint64		rows;

	query_begin(&query);
	query_oid(&query, view);
	rows = query_run(&query,
					 "SELECT name, is_view FROM tandem._views_over($1) ORDER BY place, name COLLATE \"C\"");
	for (uint64 row = 0; row < rows; row++)
	{
		if (query_get_bool(row, 2))
			views = lappend(views, query_get_text(row, 1));
		else
			others = lappend(others, query_get_text(row, 1));
	}
	query_end(&query);
	return psprintf("%sDROP VIEW %s;", others == NIL ? ""
					: psprintf("(when you have dropped %s) ", text_joined(others, "", ", ")),
					text_joined(views, "", ", "));
}
