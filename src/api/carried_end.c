/*
 * carried_end.c
 *		At contract what was built for a changed column takes the place of what goes.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/carried_end.h"
#include "api/finish.h"
#include "catalog/operation.h"
#include "catalog/sync.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"

static void
run_statement_of_table(Oid relid, void *statement)
{
	ddl_run(statement);
}

/* Of the table, or of a partition, which may have another one than the table. */
static List *
statements_for_default(const SyncRule *rule, Oid relid)
{
	TandemQuery query;
	List	   *statements;

	if (!rule->one_default)
		return NIL;
	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, linitial(rule->old_columns));
	query_name(&query, linitial(rule->new_columns));
	statements = query_texts(&query,
							 "SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', $1::regclass, $3, pg_get_expr(d.adbin, d.adrelid)) "
							 "FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
							 "WHERE a.attrelid = $1 AND a.attname = $2 AND a.attgenerated = ''");
	query_end(&query);
	return statements;
}

void
carried_give_defaults(const Migration *migration)
{
	ListCell   *lc;
	ListCell   *of_tree;
	ListCell   *statement;

	foreach(lc, sync_list_changing(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		foreach(of_tree, table_tree(rule->relation))
		{
			foreach(statement, statements_for_default(rule, lfirst_oid(of_tree)))
				finish_change_table(migration, lfirst_oid(of_tree), run_statement_of_table,
									lfirst(statement));
		}
	}
}

typedef struct NameTaken
{
	Oid			relation;
	char	   *statement;
	bool		may_lack_right; /* the owner of the table */
} NameTaken;

static void *
read_name(uint64 row)
{
	NameTaken  *name = palloc0(sizeof(NameTaken));

	name->statement = query_get_text(row, 1);
	name->may_lack_right = query_get_bool(row, 2);
	name->relation = query_get_oid(row, 3);
	return name;
}

/*
 * Returns what gives what was built the names and marks of what goes: on each table of
 * the tree, whose indexes have their own.  A view is made again under its own.
 */
static List *
names_of_carried(const Migration *migration)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	query_int(&query, migration->id);
	names = query_rows(&query,
					   "SELECT t.statement, t.place = 6, o.relation::oid FROM tandem.operation o "
					   "LEFT JOIN LATERAL tandem._object_now(o.relation, o.given, o.new_name, o.source) n ON true "
					   "CROSS JOIN LATERAL tandem._names_to_take(o.relation, o.object, coalesce(n.now_name, o.new_name)) t "
					   "WHERE o.migration = $1 AND o.kind = 'carry' AND NOT starts_with(o.given, 'view') "
					   "ORDER BY o.id, t.place, t.statement COLLATE \"C\"",
					   read_name);
	query_end(&query);
	return names;
}

/* From server 18 on a NOT NULL is a constraint with a name. */
static List *
statements_for_not_null(const SyncRule *rule)
{
	TandemQuery query;
	List	   *statements;

	query_begin(&query);
	query_oid(&query, rule->relation);
	query_name(&query, linitial(rule->new_columns));
	query_name(&query, linitial(rule->old_columns));
	statements = query_texts(&query,
							 "SELECT format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', $1::regclass, b.conname, w.name) "
							 "FROM pg_constraint b JOIN pg_attribute n ON n.attrelid = $1 AND n.attname = $2 "
							 "LEFT JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = $3 "
							 "LEFT JOIN pg_constraint o ON o.conrelid = $1 AND o.contype = 'n' AND o.conkey = ARRAY[a.attnum] "
							 "CROSS JOIN LATERAL (SELECT coalesce(o.conname, replace(b.conname, $2, $3)::name) AS name) w "
							 "WHERE b.conrelid = $1 AND b.contype = 'n' AND b.conkey = ARRAY[n.attnum] AND b.conname <> w.name "
							 "AND NOT EXISTS (SELECT FROM pg_constraint t WHERE t.conrelid = $1 AND t.conname = w.name AND t.oid IS DISTINCT FROM o.oid)");
	query_end(&query);
	return statements;
}

static List *
add_names(List *names, Oid relation, List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
	{
		NameTaken  *name = palloc0(sizeof(NameTaken));

		name->relation = relation;
		name->statement = lfirst(lc);
		names = lappend(names, name);
	}
	return names;
}

List *
carried_names_to_take(const Migration *migration)
{
	List	   *names = names_of_carried(migration);
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
	{
		const SyncRule *rule = lfirst(lc);

		names = add_names(names, rule->relation, statements_for_not_null(rule));
	}
	return names;
}

static void
take_name(void *arg)
{
	const NameTaken *name = arg;

	ddl_run(name->statement);
}

/* A right that is missing must not hold up contract. */
static void
try_to_take_name(Oid relid, void *arg)
{
	ErrorData  *error = subtransaction_try(take_name, arg);

	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		ReThrowError(error);
	ereport(WARNING,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("what was carried over has another owner than before"),
			 errdetail("The owner of table %s may not say so: %s.", quoting_relation(relid),
					   error->message),
			 errhint("As a superuser run: %s;", ((const NameTaken *) arg)->statement)));
}

void
carried_take_names(const Migration *migration, List *names)
{
	ListCell   *lc;

	if (names == NIL)
		return;
	foreach(lc, names)
	{
		NameTaken  *name = lfirst(lc);

		if (name->may_lack_right)
			finish_change_table(migration, name->relation, try_to_take_name, name);
		else
			finish_change_table(migration, name->relation, run_statement_of_table,
								name->statement);
	}
	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
		operation_note_done(lfirst(lc));
}
