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
#include "ddl/columns.h"
#include "ddl/key.h"
#include "row/quarantine.h"
#include "rule/expression.h"

/* Returns the names of keys that the migration adds to the table. */
static List *
names_of_added_keys(Oid relid, int migration_id)
{
	Oid			root = table_root(relid);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, step_list_of_tables(migration_id, STEP_CONSTRAINT,
									list_make1_oid(root)))
	{
		Step	   *step = lfirst(lc);

		names = lappend(names, key_leaf_name(root, relid, step->object));
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
column_dependents(Oid relid, const char *name, int migration_id)
{
	TandemQuery query;
	List	   *lines;

	begin_column_query(&query, relid, name);
	query_int(&query, migration_id);
	lines = end_column_query(&query,
							 "SELECT line FROM tandem._column_dependents($1, $2, $3) ORDER BY line COLLATE \"C\"");
	return list_concat(lines, migrations_that_read(relid, name, migration_id));
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

List *
column_naming_functions(Oid relid, const char *name)
{
	TandemQuery query;

	begin_column_query(&query, relid, name);
	return end_column_query(&query,
							"SELECT line FROM tandem._naming_functions($1, $2) ORDER BY line COLLATE \"C\"");
}

void
column_drop(Oid relid, const char *name)
{
	ddl_run(psprintf("ALTER TABLE %s DROP COLUMN %s RESTRICT",
					 quoting_relation(relid), quote_identifier(name)));
}
