/*
 * table_operations.c
 *		Tables that a migration adds, renames and drops.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/operations.h"
#include "api/planned_builds.h"
#include "api/statement_check.h"
#include "catalog/migration.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ending/operations.h"
#include "ending/tables.h"
#include "rule/fill_mark.h"
#include "trigger/target.h"
#include "trigger/writer_trigger.h"
#include "views/view_dependents.h"

OPERATION_FUNCTION(tandem_add_table, at_once_call)
OPERATION_FUNCTION(tandem_rename_table, at_once_call)
OPERATION_FUNCTION(tandem_drop_table, at_once_call)

static void
check_has_release(const Migration *migration)
{
	if (migration->release == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has no release to which the table could belong",
						migration->name),
				 errhint("Give it one: SELECT tandem.create_migration('another name', release => 42);")));
}

void
operation_refuse_shown(const ReleaseView *view, const char *what)
{
	char	   *drop = view_drop_call(view->view);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("view %s of release %d shows %s already",
					quoting_relation(view->view), view->release, what),
			 errhint("Call tandem.create_views after all other calls of the script. If no node of release %d works, run %s then call it again.",
					 view->release, drop)));
}

/* A view of this release or of a later one shows the table as it is now. */
static void
check_not_shown(const Migration *migration, Oid relid, bool fixed)
{
	ListCell   *lc;

	foreach(lc, release_view_list(relid))
	{
		const ReleaseView *view = lfirst(lc);

		if (!view->ended && view->release >= migration->release &&
			(!fixed || release_view_is_fixed(view->release)))
			operation_refuse_shown(view, psprintf("table \"%s\"", quoting_shown_name(relid)));
	}
}

/* Does the migration itself, or another open one, change the table otherwise? */
static void
check_not_changed(const Migration *migration, Oid relid)
{
	TandemQuery query;
	char	   *other;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid(&query, relid);
	other = query_end_text(&query, query_run(&query,
											 "SELECT m.name FROM (SELECT migration, relation FROM tandem.sync "
											 "UNION ALL SELECT migration, relation FROM tandem.owned_column "
											 "UNION ALL SELECT migration, relation FROM tandem.after_switch "
											 "UNION ALL SELECT migration, relation FROM tandem.step WHERE object IS NOT NULL "
											 "UNION ALL SELECT migration, relation FROM tandem.operation WHERE migration <> $1 OR kind <> 'statement') t "
											 "JOIN tandem.migration m ON m.id = t.migration AND m.phase NOT IN ('done', 'aborted') "
											 "WHERE t.relation = $2 ORDER BY m.id = $1, m.id LIMIT 1"));
	if (other == NULL)
		return;
	if (strcmp(other, migration->name) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("the migration changes table \"%s\" already",
						quoting_shown_name(relid)),
				 errhint("Leave one of the two out of the script.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("migration \"%s\" works on table \"%s\"", other,
					quoting_shown_name(relid)),
			 errhint("End it first, by CALL tandem.contract(%s) or CALL tandem.abort(%s).",
					 quote_literal_cstr(other), quote_literal_cstr(other))));
}

/*
 * A migration that adds or drops the table gives it no other name, and each name is
 * that of a release and of those after it.
 */
static void
check_may_be_renamed(const Migration *migration, Oid relid)
{
	TandemQuery query;
	char	   *other;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid(&query, relid);
	query_int(&query, migration->release);
	other = query_end_text(&query, query_run(&query,
											 "SELECT m.name FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration AND m.phase NOT IN ('done', 'aborted') "
											 "WHERE o.relation = $2 AND (o.migration = $1 AND o.kind IN ('add table', 'drop table') "
											 "OR o.migration <> $1 AND o.kind IN ('rename table', 'drop table') AND m.release >= $3) ORDER BY m.id LIMIT 1"));
	if (other)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("migration \"%s\" adds, drops or renames table \"%s\"", other,
						quoting_shown_name(relid)),
				 errhint("Give a table that is added its name by CREATE TABLE, and rename one in the order of the releases.")));
}

/* Elsewhere the partitioned table is meant; here that would be another table. */
static void
refuse_partition(Oid relid)
{
	if (get_rel_relispartition(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partition", quoting_shown_name(relid)),
				 errdetail("Releases know the partitioned table alone, %s.",
						   quoting_relation(table_root(relid))),
				 errhint("Rename it by ALTER TABLE. To drop it, first run ALTER TABLE ... DETACH PARTITION %s.",
						 quoting_relation(relid))));
}

/*
 * Begins a call, and locks the table, with all below it for a mode that stops
 * writers; returns false if the migration has the operation already.
 */
static bool
begin_table_operation(FunctionCallInfo fcinfo, Migration **migration,
					  Operation *operation, LOCKMODE mode)
{
	*migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	operation->given = argument_text(fcinfo, 1, "relation");
	if (repeat_operation(*migration, operation))
		return false;
	operation->relation = argument_relation(fcinfo, 1);
	if (repeat_operation(*migration, operation))
		return false;
	migration_check(*migration, ACTION_EXPAND);
	check_has_release(*migration);
	refuse_partition(operation->relation);
	check_tree_is_own(operation->relation);
	target_lock(operation->relation,
				mode == AccessShareLock ? list_make1_oid(operation->relation)
				: table_tree(operation->relation), mode);
	return true;
}

/* To drop a table locks all that goes with it: types, constraints, TOAST tables, and so on. */
static void
check_locks_of_drop(const Migration *migration, const Operation *operation)
{
	TandemQuery query;
	List	   *relids = list_append_unique_oid(operation_tables(migration->id, operation->kind),
												operation->relation);

	query_begin(&query);
	query_oid_list(&query, relids);
	target_check_locks_of_tree(operation->relation,
							   query_end_bigint(&query, query_run_latest(&query,
																		 "SELECT count(DISTINCT (class, object)) FROM tandem._goes_with($1)")));
}

/*
 * A table that others may have seen before could hold rows of theirs, which abort would
 * drop.
 */
static Datum
tandem_add_table_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration;
	Operation	operation = {.kind = OPERATION_ADD_TABLE};

	if (!begin_table_operation(fcinfo, &migration, &operation, AccessShareLock))
		PG_RETURN_VOID();
	if (!fill_mark_column_is_new(operation.relation, "ctid"))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was not created in this transaction",
						quoting_shown_name(operation.relation)),
				 errdetail("Abort drops a table that the migration has added, so it must be the migration's own."),
				 errhint("Create it by CREATE TABLE in the transaction that calls tandem.add_table.")));
	check_not_changed(migration, operation.relation);
	check_locks_of_drop(migration, &operation);
	add_operation(migration, &operation);
	PG_RETURN_VOID();
}

/* Another migration may be about to free the name. */
static char *
hint_for_taken_name(const Migration *migration, const Operation *operation)
{
	TandemQuery query;
	char	   *call;

	query_begin(&query);
	query_oid(&query, get_relname_relid(operation->new_name, get_rel_namespace(operation->relation)));
	query_int(&query, migration->release);
	call = query_end_text(&query, query_run(&query,
											"SELECT format(CASE WHEN m.phase = 'done' THEN 'SELECT tandem.take_names(%L);' ELSE 'CALL tandem.contract(%L);' END, m.name) "
											"FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration AND m.phase <> 'aborted' AND m.release < $2 "
											"WHERE o.relation = $1 AND NOT o.done AND (o.kind = 'rename table' OR o.kind = 'drop table' AND m.phase <> 'done') "
											"ORDER BY m.release DESC LIMIT 1"));
	if (call)
		return psprintf("Run %s before the script of release %d, or choose another name.",
						call, migration->release);
	return "Choose another name, or drop or rename that one by a call before this one. Two tables exchange their names in two releases: by the first, one of them has a third name.";
}

static void
check_new_table_name(const Migration *migration, const Operation *operation)
{
	char	   *seen = operation_table_name(migration->release, operation->relation);

	if (operation->new_name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a table must not be empty"),
				 errhint("Call it as in SELECT tandem.rename_table('my_migration', 'my_table', 'new_name');")));
	if (strcmp(seen, operation->new_name) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s\" has that name already", seen),
				 errhint("Choose another name, or leave the call out.")));
	table_check_name_free(migration, operation, hint_for_taken_name(migration, operation));
}

static Datum
tandem_rename_table_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration;
	Operation	operation = {
		.kind = OPERATION_RENAME_TABLE,
		.new_name = argument_name(fcinfo, 2, "new_name"),
	};

	if (!begin_table_operation(fcinfo, &migration, &operation, ShareRowExclusiveLock))
		PG_RETURN_VOID();
	check_may_be_renamed(migration, operation.relation);
	check_new_table_name(migration, &operation);
	/* each table and its trigger */
	target_check_locks_of_tree(operation.relation,
							   2 * (int64) list_length(table_tree(operation.relation)));
	operation.object = operation_table_name(migration->release - 1, operation.relation);
	check_not_shown(migration, operation.relation, true);
	if (table_is_replicated(operation.relation))
		ereport(NOTICE,
				(errmsg("contract will leave table \"%s\" its name, since it is replicated",
						quoting_shown_name(operation.relation)),
				 errdetail("Logical replication finds it by its name. Release %d and later ones see the new one through their views.",
						   migration->release)));
	add_operation(migration, &operation);
	statements_check_names(migration);
	/* from the commit on who writes the table is marked */
	writer_trigger_install(operation.relation);
	PG_RETURN_VOID();
}

/* What is in the way is left time until contract. */
static void
warn_of_obstacles(const Migration *migration, const Operation *operation)
{
	List	   *lines = tables_obstacles(migration, operation_tables(migration->id, OPERATION_DROP_TABLE),
										 migration->release, false);

	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("contract will not drop table \"%s\" as long as others use it",
					quoting_shown_name(operation->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Drop these before contract, or have contract do so by tandem.at_contract.")));
}

static Datum
tandem_drop_table_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration;
	Operation	operation = {.kind = OPERATION_DROP_TABLE};

	if (!begin_table_operation(fcinfo, &migration, &operation, ShareRowExclusiveLock))
		PG_RETURN_VOID();
	check_not_changed(migration, operation.relation);
	check_not_shown(migration, operation.relation, false);
	planned_builds_check_table(migration, operation.relation);
	check_locks_of_drop(migration, &operation);
	add_operation(migration, &operation);
	/* from the commit on who writes the table is marked */
	writer_trigger_install(operation.relation);
	warn_of_obstacles(migration, &operation);
	PG_RETURN_VOID();
}
