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

/* Those that the server would drop with the column of the table, or of a partition of it. */
static List *
statements_for_sequences(const SyncRule *rule, Oid relid)
{
	TandemQuery query;
	List	   *statements;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, linitial(rule->old_columns)));
	query_name(&query, linitial(rule->new_columns));
	statements = query_texts(&query,
							 "SELECT format('ALTER SEQUENCE %s%s OWNED BY %s.%I', s.seqrelid::regclass, "
	/* of a smaller type it would end too early */
							 "CASE WHEN (s.seqtypid, a.atttypid) IN (('int2'::regtype, 'int4'::regtype), ('int2'::regtype, 'int8'::regtype), ('int4'::regtype, 'int8'::regtype)) "
							 "THEN format(' AS %s', a.atttypid::regtype) END, $1::regclass, $3) "
							 "FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid "
							 "JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = $3 "
							 "WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass "
							 "AND d.refobjid = $1 AND d.refobjsubid = $2 AND d.deptype = 'a' ORDER BY s.seqrelid");
	query_end(&query);
	return statements;
}

void
carried_keep_sequences(const Migration *migration)
{
	ListCell   *lc;
	ListCell   *of_tree;
	ListCell   *statement;

	foreach(lc, sync_list_changing(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		foreach(of_tree, table_tree(rule->relation))
		{
			foreach(statement, statements_for_sequences(rule, lfirst_oid(of_tree)))
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
 * the tree, whose indexes have their own.  To be called while both are there.
 */
static List *
names_of_carried(const Operation *operation)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	query_oid(&query, operation->relation);
	query_name(&query, operation->object);
	query_name(&query, operation->new_name);
	names = query_rows(&query,
					   "SELECT statement, place = 6, $1 FROM tandem._names_to_take($1, $2, $3) ORDER BY place, statement COLLATE \"C\"",
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
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
	{
		Operation  *operation = lfirst(lc);

		/* a view is made again under its own */
		if (strncmp(operation->given, "view", strlen("view")) != 0)
			names = list_concat(names, names_of_carried(operation));
	}
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
