/*
 * compiled_functions.c
 *		Functions that sessions have compiled with the type that a column had.
 *
 * PL/pgSQL keeps the types of variables, and plans of expressions over the fields of a
 * row, as long as a session lives.  When a field has another type than before, such an
 * expression fails with "type of parameter does not match that when preparing the plan",
 * and a variable of the column's type is too small.  A language compiles a function again
 * if its row of pg_proc is another version: so that is what contract makes, with the same
 * contents.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/sync.h"
#include "core/catalog_row.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/transaction.h"
#include "ending/compiled_functions.h"
#include "ending/user_views.h"

List *
compiled_functions(const Migration *migration)
{
	TandemQuery query;
	List	   *relids = NIL;
	List	   *names = NIL;
	List	   *functions;
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		relids = list_concat_unique_oid(relids, table_tree(rule->relation));
		names = lappend(names, linitial(rule->old_columns));
	}
	if (relids == NIL)
		return NIL;
	query_begin(&query);
	query_oid_list(&query, relids);
	query_datum(&query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
	query_oid_list(&query, user_views_of_migration(migration));
	functions = query_oids(&query,
						   "SELECT function FROM tandem._compiled_functions($1, $2, $3) ORDER BY function");
	query_end(&query);
	return functions;
}

static void
renew_functions(void *functions)
{
	Relation	catalog = table_open(ProcedureRelationId, RowExclusiveLock);
	ListCell   *lc;

	foreach(lc, (List *) functions)
	{
		HeapTuple	tuple = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(lfirst_oid(lc)));

		/* dropped meanwhile */
		if (!HeapTupleIsValid(tuple))
			continue;
		catalog_row_store(catalog, tuple);
		heap_freetuple(tuple);
	}
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

void
compiled_functions_renew(List *functions)
{
	ErrorData  *error = functions == NIL ? NULL : subtransaction_try(renew_functions, functions);

	if (error == NULL)
		return;
	/* "tuple concurrently updated" has no code of its own */
	if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
		ReThrowError(error);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("another session has replaced or dropped a function that uses a changed column"),
			 errhint("Call it again; nothing was changed.")));
}
