/*
 * tables.c
 *		Tables that contract or abort drops as a whole.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/operations.h"
#include "ending/tables.h"

static List *
trees_of(List *relids)
{
	List	   *all = NIL;
	ListCell   *lc;

	foreach(lc, relids)
		all = list_concat_unique_oid(all, table_tree(lfirst_oid(lc)));
	return all;
}

List *
tables_referred_to(List *relids)
{
	TandemQuery query;
	List	   *referred;

	if (relids == NIL)
		return NIL;
	query_begin(&query);
	query_oid_list(&query, trees_of(relids));
	referred = query_oids(&query, "SELECT relation FROM tandem._tables_referred_to($1)");
	query_end(&query);
	return referred;
}

/* A view of a release that is served shows the table. */
static List *
lines_of_views(List *lines, Oid relid, int first)
{
	ListCell   *lc;

	foreach(lc, release_view_list(relid))
	{
		const ReleaseView *view = lfirst(lc);

		if (!view->ended && view->release >= first)
			lines = lappend(lines, psprintf("view %s of release %d",
											quoting_relation(view->view), view->release));
	}
	return lines;
}

static List *
lines_of_migrations(const Migration *migration, List *relids)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid_list(&query, relids);
	lines = query_texts(&query,
						"SELECT DISTINCT format('migration %I', m.name) FROM tandem._migration_tables t "
						"JOIN tandem.migration m ON m.id = t.migration AND m.id <> $1 AND m.phase NOT IN ('done', 'aborted') "
						"WHERE t.relation = ANY ($2) ORDER BY 1");
	query_end(&query);
	return lines;
}

/* What was made a partition, or a child, since: its rows are rows of the table above. */
static List *
lines_of_parents(List *relids)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_oid_list(&query, trees_of(relids));
	lines = query_texts(&query,
						"SELECT format('table %1$s, of which %2$s is a part: ' || CASE WHEN c.relispartition THEN 'ALTER TABLE %1$s DETACH PARTITION %2$s' "
						"ELSE 'ALTER TABLE %2$s NO INHERIT %1$s' END, h.inhparent::regclass, c.oid::regclass) "
						"FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid "
						"WHERE h.inhrelid = ANY ($1) AND NOT h.inhparent = ANY ($2) ORDER BY 1");
	query_end(&query);
	return lines;
}

List *
tables_obstacles(const Migration *migration, List *relids, int first, bool aborting)
{
	List	   *lines;
	ListCell   *lc;

	if (relids == NIL)
		return NIL;
	lines = list_concat(drop_obstacles(relids, migration->id, aborting),
						lines_of_migrations(migration, relids));
	lines = list_concat(lines, lines_of_parents(relids));
	foreach(lc, relids)
		lines = lines_of_views(lines, lfirst_oid(lc), first);
	return lines;
}

void
tables_check_abort(const Migration *migration)
{
	List	   *relids = operation_tables(migration->id, OPERATION_ADD_TABLE);
	List	   *lines = tables_obstacles(migration, relids, migration->release + 1, true);

	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("tables that migration \"%s\" has added are in use",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("%s, or abort those migrations, then run CALL tandem.abort(%s) again.",
					 lines_of_parents(relids) != NIL ? "Do what a line says, drop what else is named" : "Drop these",
					 quote_literal_cstr(migration->name))));
}

/*-------------------------------------------------------------------------
 * Rows that would be lost.
 *-------------------------------------------------------------------------
 */

/*
 * Ends at the first row: an application that uses the table has many, and to say that
 * there are some is enough.
 */
static bool
leaf_has_row(Oid leaf)
{
	Relation	rel = table_open_leaf(leaf, AccessShareLock);
	TupleTableSlot *slot;
	TableScanDesc scan;
	bool		found;

	if (rel == NULL)
		return false;
	slot = table_slot_create(rel, NULL);
	snapshot_push_latest();
	scan = compat_begin_scan(rel, GetActiveSnapshot());
	found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
	table_endscan(scan);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
table_has_row(Oid relid)
{
	ListCell   *lc;

	foreach(lc, table_leaves(relid))
	{
		if (table_rows_problem(lfirst_oid(lc)) != NULL || leaf_has_row(lfirst_oid(lc)))
			return true;
	}
	return false;
}

List *
tables_losses(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, operation_tables(migration->id, OPERATION_ADD_TABLE))
	{
		if (table_has_row(lfirst_oid(lc)))
			lines = lappend(lines, psprintf("table %s, which it has added, has rows",
											quoting_relation(lfirst_oid(lc))));
	}
	return lines;
}

/*-------------------------------------------------------------------------
 * The drop.
 *-------------------------------------------------------------------------
 */

/* Whoever may name a table can make a view over it, which would keep it for ever. */
const char *
drop_behavior(List *relids)
{
	TandemQuery query;

	query_begin(&query);
	query_oid_list(&query, relids);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem._drop_obstacles($1, 0, false) HAVING bool_and(stray)"))
		? "CASCADE" : "RESTRICT";
}

static void
drop_tables_of_owner(List *relids, Oid owner, const char *search_path)
{
	StringInfoData names;
	AuthorityScope scope;
	Oid			one = InvalidOid;
	bool		entered;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, relids)
	{
		if (OidIsValid(owner) && authority_owner_of(lfirst_oid(lc)) != owner)
			continue;
		one = lfirst_oid(lc);
		appendStringInfo(&names, "%s%s", names.len ? ", " : "", quoting_relation(one));
	}
	entered = authority_enter_for(&scope, one, search_path);
	ddl_run(psprintf("DROP TABLE %s %s", names.data,
					 drop_behavior(relids)));
	if (entered)
		authority_leave(&scope);
}

/* What others may not drop is dropped as each owner. */
static bool
may_drop_all(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (!has_privs_of_role(GetUserId(), authority_owner_of(lfirst_oid(lc))))
			return false;
	}
	return true;
}

void
tables_drop(List *relids, const char *search_path)
{
	List	   *owners = NIL;
	ListCell   *lc;

	if (relids == NIL)
		return;
	foreach(lc, relids)
		owners = list_append_unique_oid(owners, authority_owner_of(lfirst_oid(lc)));
	if (may_drop_all(relids))
		owners = list_make1_oid(InvalidOid);
	foreach(lc, owners)
		drop_tables_of_owner(relids, lfirst_oid(lc), search_path);
	foreach(lc, relids)
		release_view_table_dropped(lfirst_oid(lc));
}
