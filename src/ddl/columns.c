/*
 * columns.c
 *		Drops columns at the end of a migration, and finds what prevents
 *		that.
 *
 * The functions tandem._column_* of the extension's script query the server's
 * catalogs for both.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/columns.h"
#include "ddl/key.h"
#include "row/quarantine.h"
#include "rule/expression.h"

static void
begin_column_query(TandemQuery *query, List *columns)
{
	List	   *relids = NIL;
	List	   *numbers = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		const TableColumn *column = lfirst(lc);

		relids = lappend_oid(relids, column->relation);
		numbers = lappend_int(numbers,
							  get_attnum(column->relation, column->name));
	}
	query_begin(query);
	query_oid_list(query, relids);
	query_int_list(query, numbers);
}

/*
 * The lines of a function of the script, which the planner makes part of this
 * query; sorted alike in every database, whatever its collation.
 */
#define LINES_SELECT(function) \
	"SELECT c.place::integer, l.line FROM unnest($1, $2) WITH ORDINALITY c (relation, number, place) " \
	"CROSS JOIN LATERAL tandem." function " l ORDER BY c.place, l.line COLLATE \"C\""

/* sql is a constant, see query_run. */
static List *
end_column_query(TandemQuery *query, const char *sql, List *columns)
{
	uint64		rows = query_run_latest(query, sql);
	uint64		row = 0;
	List	   *all = NIL;

	for (int place = 1; place <= list_length(columns); place++)
	{
		List	   *lines = NIL;

		for (; row < rows && query_get_int(row, 1) == place; row++)
			lines = lappend(lines, query_get_text(row, 2));
		all = lappend(all, lines);
	}
	query_end(query);
	return all;
}

/* The same of a function that is asked about the columns alone. */
static List *
lines_of_columns(List *columns, const char *sql)
{
	TandemQuery query;

	begin_column_query(&query, columns);
	return end_column_query(&query, sql, columns);
}

typedef struct ReadCall
{
	const SyncRule *rule;
	Relation	rel;
	const char *column;
	bool		reads;
} ReadCall;

static bool
side_reads_column(const ReadCall *call, List *names, List *texts,
				  const char *label)
{
	Oid			relid = RelationGetRelid(call->rel);
	Bitmapset  *read = NULL;

	for (int i = 0; i < list_length(texts); i++)
	{
		if (list_nth(texts, i))
			pull_varattnos(expression_resolve(list_nth(texts, i), call->rel,
											  get_attnum(relid, list_nth(names, i)),
											  label), 1, &read);
	}
	return bms_is_member(get_attnum(relid, call->column) -
						 FirstLowInvalidHeapAttributeNumber, read);
}

static void
look_whether_rule_reads(void *arg)
{
	ReadCall   *call = arg;
	const SyncRule *rule = call->rule;
	AuthorityScope scope;

	authority_enter_owner(&scope, call->rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	call->reads = side_reads_column(call, rule->new_columns, rule->up, "up") ||
		side_reads_column(call, rule->old_columns, rule->down, "down");
	authority_leave(&scope);
}

/*
 * Does the rule read the column as a source?  One that reads the whole row goes
 * on without it, and would else keep the older migration open that must end
 * first.  Of a rule that is broken nothing can be told; then the server refuses
 * to drop the column, on which the trigger depends.
 */
static bool
rule_has_source(const SyncRule *rule, Relation rel, const char *column)
{
	ReadCall	call = {rule, rel, column, false};

	if (text_is_among(column, rule->old_columns) ||
		text_is_among(column, rule->new_columns))
		return false;
	(void) quarantine_try(look_whether_rule_reads, &call);
	return call.reads;
}

/* Returns a line for each other migration whose rules have it as a source. */
static List *
migrations_that_read(Oid relid, const char *column, int migration_id)
{
	bool		gone;
	Relation	rel = relation_open_nowait(relid, &gone);
	List	   *lines = NIL;
	ListCell   *lc;

	/* locked by others: the caller asks again with its own lock */
	if (rel == NULL)
		return NIL;
	foreach(lc, sync_list_of_relation(relid))
	{
		SyncRule   *rule = lfirst(lc);
		char	   *line = psprintf("migration %s, which computes from it",
									quote_identifier(rule->migration));

		if (rule->migration_id != migration_id &&
			!text_is_among(line, lines) && rule_has_source(rule, rel, column))
			lines = lappend(lines, line);
	}
	table_close(rel, AccessShareLock);
	return lines;
}

List *
column_relations(List *columns)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		relids = lappend_oid(relids, ((TableColumn *) lfirst(lc))->relation);
	return relids;
}

/*
 * The same of a function that is asked about other migrations too; with those
 * that read a column.
 */
static List *
lines_of_migrations(List *columns, int migration_id, const char *sql)
{
	List	   *synced = sync_relations_of_others(column_relations(columns),
												  migration_id);
	List	   *all;
	TandemQuery query;
	ListCell   *lines;
	ListCell   *lc;

	begin_column_query(&query, columns);
	query_int(&query, migration_id);
	all = end_column_query(&query, sql, columns);
	forboth(lines, all, lc, columns)
	{
		const TableColumn *column = lfirst(lc);

		if (list_member_oid(synced, column->relation))
			lfirst(lines) = list_concat(lfirst(lines),
										migrations_that_read(column->relation,
															 column->name, migration_id));
	}
	return all;
}

List *
column_dependents(List *columns, int migration_id)
{
	return lines_of_migrations(columns, migration_id,
							   LINES_SELECT("_column_dependents(c.relation, c.number, $3)"));
}

List *
column_migrations(List *columns, int migration_id)
{
	return lines_of_migrations(columns, migration_id,
							   LINES_SELECT("_column_migrations(c.relation, c.number, $3)"));
}

List *
column_keys(List *columns, int migration_id)
{
	TandemQuery query;

	begin_column_query(&query, columns);
	query_int(&query, migration_id);
	return end_column_query(&query,
							LINES_SELECT("_column_keys(c.relation, c.number, $3)"), columns);
}

/* The keys that the migration adds, each with the leaf that it is built on. */
typedef struct AddedKeys
{
	List	   *relids;
	List	   *names;
} AddedKeys;

static void
note_added_keys(AddedKeys *added, List *columns, int migration_id)
{
	List	   *steps = step_list(migration_id, STEP_CONSTRAINT);
	List	   *relids = steps == NIL ? NIL
	: list_concat_unique_oid(NIL, column_relations(columns));
	ListCell   *lc;
	ListCell   *table;

	foreach(table, relids)
	{
		Oid			root = table_root(lfirst_oid(table));

		foreach(lc, steps)
		{
			Step	   *step = lfirst(lc);

			if (step->relation != root)
				continue;
			added->relids = lappend_oid(added->relids, lfirst_oid(table));
			added->names = lappend(added->names,
								   key_leaf_name(root, lfirst_oid(table),
												 step->object));
		}
	}
}

List *
column_moved_keys(List *columns, int migration_id)
{
	AddedKeys	added = {NIL, NIL};
	TandemQuery query;

	note_added_keys(&added, columns, migration_id);
	begin_column_query(&query, columns);
	query_oid_list(&query, added.relids);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(added.names, NAMEOID), false);
	return end_column_query(&query,
							LINES_SELECT("_column_moved_keys(c.relation, c.number, $3, $4)"),
							columns);
}

List *
column_objects_dropped_with(List *columns, int migration_id)
{
	return lines_of_columns(columns,
							LINES_SELECT("_column_parts(c.relation, c.number)"));
}

List *
column_naming_functions(List *columns, int migration_id)
{
	return lines_of_columns(columns,
							LINES_SELECT("_naming_functions(c.relation, c.number)"));
}

typedef struct ColumnDrop
{
	Oid			relid;
	const char *name;
	const char *behavior;
} ColumnDrop;

static void
drop_column(void *arg)
{
	ColumnDrop *drop = arg;

	ddl_run(psprintf("ALTER TABLE %s DROP COLUMN %s %s",
					 quoting_relation(drop->relid), quote_identifier(drop->name),
					 drop->behavior));
}

static bool
column_has_stray_dependents(Oid relid, const char *name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, name);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem._stray_dependents($1, $2) LIMIT 1"));
}

/*
 * Whoever calls this has seen that nothing else depends on the column.  The server
 * has the table's owner drop, by CASCADE, what others have made over it.
 */
void
column_drop(Oid relid, const char *name)
{
	ColumnDrop	drop = {relid, name, "RESTRICT"};
	ErrorData  *error = subtransaction_try(drop_column, &drop);

	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST ||
		!column_has_stray_dependents(relid, name))
		ReThrowError(error);
	drop.behavior = "CASCADE";
	drop_column(&drop);
}
