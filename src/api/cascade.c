/*
 * cascade.c
 *		A key is changed with all columns that refer to it, to any depth.
 *
 * What is still to be changed is asked of the catalogs: a column that refers to one
 * which the migration changes.  So a call that is made again, after whatever failure,
 * goes on where the one before has come to.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/cascade.h"
#include "api/change_column.h"
#include "api/column_moves.h"
#include "api/column_operation.h"
#include "api/migrate.h"
#include "api/new_column.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/renamed_column.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/columns.h"
#include "rule/release_names.h"

/*-------------------------------------------------------------------------
 * The columns.
 *-------------------------------------------------------------------------
 */

static bool
is_in(const TableColumn *column, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const TableColumn *other = lfirst(lc);

		if (other->relation == column->relation && strcmp(other->name, column->name) == 0)
			return true;
	}
	return false;
}

static void *
read_column(uint64 row)
{
	TableColumn *column = palloc(sizeof(TableColumn));

	column->relation = query_get_oid(row, 1);
	column->name = query_get_text(row, 2);
	return column;
}

/*
 * Those that have the type already need not change, nor what refers to them, nor what an
 * earlier release's migration drops.
 */
static List *
columns_referring(const Migration *migration, const TableColumn *column, Oid type, int32 typmod)
{
	TandemQuery query;
	List	   *columns;

	query_begin(&query);
	query_oid(&query, column->relation);
	query_int(&query, get_attnum(column->relation, column->name));
	query_oid(&query, type);
	query_int(&query, typmod);
	query_int(&query, migration->id);
	columns = query_rows(&query,
						 "SELECT r.relation, r.name::text FROM tandem._referring_columns r "
						 "JOIN pg_attribute a ON a.attrelid = r.relation AND a.attname = r.name AND (a.atttypid, a.atttypmod) <> ($3, $4) "
						 "WHERE r.key_relation = $1 AND r.key_number = $2 AND tandem._goes_before(r.relation, r.name, $5) IS NULL ORDER BY r.relation, a.attnum",
						 read_column);
	query_end(&query);
	return columns;
}

/* Returns the column, and all that refer to it (of TableColumn), each after one of these. */
static List *
columns_of_key(const Migration *migration, TableColumn *key, Oid type, int32 typmod)
{
	List	   *columns = list_make1(key);
	ListCell   *lc;
	ListCell   *referring;

	/* the list grows */
	foreach(lc, columns)
	{
		foreach(referring, columns_referring(migration, lfirst(lc), type, typmod))
		{
			if (!is_in(lfirst(referring), columns))
				columns = lappend(columns, lfirst(referring));
		}
	}
	return columns;
}

/* What refers to the key in the place of those that go before it does once it is built. */
static void
check_those_before(const Migration *migration, const TableColumn *column)
{
	TandemQuery query;
	List	   *others;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, column->relation);
	query_int(&query, get_attnum(column->relation, column->name));
	query_int(&query, migration->id);
	others = query_rows(&query,
						"SELECT o.relation, o.name::text FROM (SELECT r.relation, tandem._goes_before(r.relation, r.name, $3) AS name "
						"FROM tandem._referring_columns r WHERE r.key_relation = $1 AND r.key_number = $2) o WHERE o.name IS NOT NULL ORDER BY 1, 2",
						read_column);
	query_end(&query);
	foreach(lc, others)
	{
		const TableColumn *other = lfirst(lc);

		change_check_built(migration->id, other->relation, other->name,
						   renamed_column_shown(renamed_column_list(other->relation, migration->release - 1),
												other->name));
	}
}

static bool
is_changed(const Migration *migration, const TableColumn *column)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_table(migration->id, column->relation))
	{
		const SyncRule *rule = lfirst(lc);

		if (rule_changes_column(rule) && strcmp(linitial(rule->old_columns), column->name) == 0)
			return true;
	}
	return false;
}

static List *
columns_to_change(const Migration *migration, List *columns)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (!is_changed(migration, lfirst(lc)))
			left = lappend(left, lfirst(lc));
	}
	return left;
}

/*-------------------------------------------------------------------------
 * What is left to be changed.
 *-------------------------------------------------------------------------
 */

List *
cascade_lines_left(const Migration *migration, Oid relid, const char *column)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	query_int(&query, migration->id);
	lines = query_texts(&query,
						"SELECT format('column %I of table %s, by foreign key %I', r.name, r.relation::regclass, c.conname) "
						"FROM tandem._referring_columns r JOIN pg_constraint c ON c.oid = r.constraint_oid "
						"WHERE r.key_relation = $1 AND r.key_number = $2 AND NOT tandem._follows_key(r.relation, r.name, $1, $2, $3) AND tandem._goes_before(r.relation, r.name, $3) IS NULL ORDER BY 1");
	query_end(&query);
	return lines;
}

static void *
read_line_left(uint64 row)
{
	return psprintf("column %s of table %s", query_get_text(row, 1), query_get_text(row, 2));
}

void
cascade_check_complete(const Migration *migration)
{
	TandemQuery query;
	List	   *lines;
	char	   *statement;

	query_begin(&query);
	query_int(&query, migration->id);
	lines = query_rows(&query,
					   "SELECT quote_ident(k.name), k.relation::regclass::text FROM tandem._key_columns_left k WHERE k.migration = $1 ORDER BY k.relation::regclass::text COLLATE \"C\", k.name COLLATE \"C\"",
					   read_line_left);
	if (lines == NIL)
	{
		query_end(&query);
		return;
	}
	query_int(&query, migration->id);
	statement = query_end_text(&query, query_run(&query,
												 "SELECT statement FROM tandem._key_columns_left WHERE migration = $1 ORDER BY statement COLLATE \"C\" LIMIT 1"));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" changes a key, and not yet all columns that refer to it",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Run %s; then migrate.", statement)));
}

/*-------------------------------------------------------------------------
 * The calls, one for each column.
 *-------------------------------------------------------------------------
 */

/* Only what says how rows are written goes for all columns; the rest is of the key. */
static void
take_arguments_for_referring(FunctionCallInfo call)
{
	static const ChangeArgument of_key[] = {
		CHANGE_UP, CHANGE_DOWN, CHANGE_DEFAULT, CHANGE_NOT_NULL, CHANGE_CARRY, CHANGE_LEAVE,
	};

	for (int i = 0; i < (int) lengthof(of_key); i++)
		call->args[of_key[i]].isnull = true;
}

/* The column is called as the release before knows it. */
static List *
change_column_like(FunctionCallInfo fcinfo, Migration *migration, const TableColumn *column,
				   bool is_key, List *rules)
{
	LOCAL_FCINFO(call, CHANGE_ARGUMENTS);
	SyncRule   *rule;
	char	   *shown = renamed_column_shown(renamed_column_list(column->relation, migration->release - 1),
											 column->name);

	InitFunctionCallInfoData(*call, fcinfo->flinfo, CHANGE_ARGUMENTS, fcinfo->fncollation, NULL, NULL);
	memcpy(call->args, fcinfo->args, sizeof(NullableDatum) * CHANGE_ARGUMENTS);
	if (!is_key)
	{
		take_arguments_for_referring(call);
		call->args[CHANGE_RELATION].value = CStringGetTextDatum(quoting_relation(column->relation));
		call->args[CHANGE_COLUMN].value = DirectFunctionCall1(namein, CStringGetDatum(shown));
	}
	/* a call that was made before has given the lock of the migration back */
	rule = change_one_column(call, migration_get_for_change(migration->name), true);
	return rule ? lappend(rules, rule) : rules;
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(CHANGE_UP) && PG_ARGISNULL(CHANGE_DOWN) &&
		!argument_bool(fcinfo, CHANGE_ONE_WAY, "one_way") && !PG_ARGISNULL(CHANGE_TYPE))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a change that cascades takes a type, and none of up, down and one_way"),
			 errdetail("All columns that refer to the key get the type, by the server's own cast."),
			 errhint("Call it as in SELECT tandem.change_column('my_migration', 'my_table', 'id', 'bigint', cascade => true);")));
}

static void
query_columns(TandemQuery *query, List *columns)
{
	List	   *names = NIL;
	ListCell   *lc;

	query_oid_list(query, column_relations(columns));
	foreach(lc, columns)
		names = lappend(names, ((TableColumn *) lfirst(lc))->name);
	query_datum(query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
}

/*
 * All that is worked on in the transaction, and the tables on which other foreign keys of
 * these columns are tried.
 */
static List *
tables_to_lock(List *columns, List *left)
{
	List	   *tables = NIL;
	ListCell   *lc;
	TandemQuery query;

	foreach(lc, left)
		tables = list_concat_unique_oid(tables, table_tree(((TableColumn *) lfirst(lc))->relation));
	query_begin(&query);
	query_columns(&query, left);
	query_columns(&query, columns);
	tables = list_concat_unique_oid(tables, query_oids(&query,
													   "SELECT DISTINCT t.relid::oid FROM unnest($1, $2) l (relation, name) "
													   "JOIN pg_attribute a ON a.attrelid = l.relation AND a.attname = l.name "
													   "JOIN pg_constraint c ON c.conrelid = l.relation AND c.contype = 'f' AND a.attnum = ANY (c.conkey) "
													   "CROSS JOIN LATERAL (SELECT c.confrelid AS relid UNION SELECT p.relid FROM pg_partition_tree(c.confrelid) p) t "
													   "WHERE NOT EXISTS (SELECT FROM unnest($3, $4) k (relation, name) "
													   "JOIN pg_attribute b ON b.attrelid = k.relation AND b.attname = k.name AND b.attnum = ANY (c.confkey) "
													   "WHERE k.relation = c.confrelid)"));
	query_end(&query);
	return tables;
}

/* Returns the column that the call names, as the release before knows it. */
static TableColumn *
key_of_call(FunctionCallInfo fcinfo, const Migration *migration)
{
	TableColumn *key = palloc(sizeof(TableColumn));
	ReleaseNames names;

	key->relation = argument_relation(fcinfo, CHANGE_RELATION);
	names = release_names_before(migration->release, key->relation);
	key->name = release_names_stored(&names, argument_name(fcinfo, CHANGE_COLUMN, "column_name"));
	return key;
}

static List *
columns_of_call(FunctionCallInfo fcinfo, const Migration *migration, TableColumn *key)
{
	NewColumn	twin = {.relation = key->relation};

	new_column_read_type(&twin, argument_text(fcinfo, CHANGE_TYPE, "type"));
	return columns_of_key(migration, key, twin.type, twin.typmod);
}

/* Also those that have the type already: their foreign keys become others. */
static List *
tables_of_key(List *columns)
{
	TandemQuery query;
	List	   *tables;

	query_begin(&query);
	query_columns(&query, columns);
	tables = query_oids(&query,
						"SELECT k.relation FROM unnest($1, $2) k (relation, name) "
						"UNION SELECT r.relation FROM unnest($1, $2) k (relation, name) "
						"JOIN pg_attribute a ON a.attrelid = k.relation AND a.attname = k.name "
						"JOIN tandem._referring_columns r ON r.key_relation = k.relation AND r.key_number = a.attnum");
	query_end(&query);
	return tables;
}

/* What is built for a partitioned table is built for all of it. */
static void
check_no_key_of_partition(List *columns)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_columns(&query, columns);
	lines = query_texts(&query,
						"SELECT DISTINCT format('foreign key %I of table %s, which refers to %s', c.conname, c.conrelid::regclass, c.confrelid::regclass) "
						"FROM unnest($1, $2) k (relation, name) "
						"CROSS JOIN LATERAL (SELECT k.relation AS relid UNION SELECT p.relid FROM pg_partition_tree(k.relation) p) t "
						"JOIN pg_attribute a ON a.attrelid = t.relid AND a.attname = k.name "
						"JOIN pg_constraint c ON c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = t.relid AND a.attnum = ANY (c.confkey) "
						"WHERE t.relid <> k.relation OR c.conrelid <> coalesce(pg_partition_root(c.conrelid)::oid, c.conrelid) ORDER BY 1");
	query_end(&query);
	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("partitions have foreign keys of their own"),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("Drop them, or have the partitioned table refer, and be referred to, in their place.")));
}

/*
 * What is to be done in the transaction is checked before anything is locked, and all
 * tables are locked at once.
 */
static void
begin_change(const Migration *migration, List *columns, List *left)
{
	ListCell   *lc;

	if (migration->forgotten)
		return;
	migration_check(migration, ACTION_EXPAND);
	check_no_key_of_partition(columns);
	foreach(lc, columns)
		check_those_before(migration, lfirst(lc));
	foreach(lc, tables_of_key(columns))
		authority_check_owner(lfirst_oid(lc));
	lock_relations(tables_to_lock(columns, left), AccessExclusiveLock);
}

void
cascade_change(FunctionCallInfo fcinfo, Migration *migration)
{
	List	   *rules = NIL;
	TableColumn *key;
	List	   *columns;
	List	   *left;
	ListCell   *lc;

	column_operation_check_release(migration, "change_column");
	check_arguments(fcinfo);
	key = key_of_call(fcinfo, migration);
	columns = columns_of_call(fcinfo, migration, key);
	left = columns_to_change(migration, columns);
	if (left != NIL)
		begin_change(migration, columns, left);
	foreach(lc, columns)
		rules = change_column_like(fcinfo, migration, lfirst(lc), lfirst(lc) == key, rules);
	foreach(lc, rules)
		column_moves_warn(migration, lfirst(lc));
}

/*-------------------------------------------------------------------------
 * CALL tandem.change_key: one table after the other.
 *-------------------------------------------------------------------------
 */

OPERATION_FUNCTION(tandem_change_key, at_once_call)

#define KEY_WORKERS 4			/* the number of the argument */

static void
check_key_call(FunctionCallInfo fcinfo)
{
	int			workers = PG_ARGISNULL(KEY_WORKERS) ? -1 : PG_GETARG_INT32(KEY_WORKERS);

	if (workers < 0 || workers > MIGRATE_MOST_WORKERS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workers must be from 0 to %d", MIGRATE_MOST_WORKERS),
				 errhint("With 0 nothing is migrated; with another number tandem.migrate follows, with so many workers.")));
	if (!procedure_may_commit(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("tandem.change_key cannot run inside a transaction block"),
				 errdetail("It commits after each table."),
				 errhint("Commit the script that creates the migration, then call tandem.change_key on its own, with autocommit on; or call tandem.change_column with cascade => true, which locks all tables at once.")));
}

/* Returns the arguments of tandem.change_column that these of tandem.change_key come to. */
static void
take_arguments_of_key(FunctionCallInfo call, FunctionCallInfo fcinfo)
{
	InitFunctionCallInfoData(*call, fcinfo->flinfo, CHANGE_ARGUMENTS, fcinfo->fncollation, NULL, NULL);
	for (int i = 0; i < CHANGE_ARGUMENTS; i++)
	{
		call->args[i].value = (Datum) 0;
		call->args[i].isnull = true;
	}
	memcpy(call->args, fcinfo->args, sizeof(NullableDatum) * (CHANGE_TYPE + 1));
	call->args[CHANGE_ONE_WAY] = (NullableDatum)
	{
		BoolGetDatum(false), false
	};
	call->args[CHANGE_CASCADE] = (NullableDatum)
	{
		BoolGetDatum(true), false
	};
	call->args[CHANGE_BARE_TABLE] = (NullableDatum)
	{
		BoolGetDatum(false), false
	};
	call->args[CHANGE_ON_CONFLICT] = (NullableDatum)
	{
		CStringGetTextDatum("error"), false
	};
	call->args[CHANGE_ON_ERROR] = (NullableDatum)
	{
		CStringGetTextDatum("error"), false
	};
}

static List *
columns_of_table(List *columns, Oid relid)
{
	List	   *of_table = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (((TableColumn *) lfirst(lc))->relation == relid)
			of_table = lappend(of_table, lfirst(lc));
	}
	return of_table;
}

/*
 * Changes the columns of the first table that has some left; false if none has.  first: the
 * call begins, and may be one that is made again.
 */
static bool
change_next_table(FunctionCallInfo call, const char *name, bool first)
{
	Migration  *migration = migration_get_for_change(name);
	TableColumn *key;
	List	   *columns;
	List	   *left;
	ListCell   *lc;

	column_operation_check_release(migration, "change_key");
	key = key_of_call(call, migration);
	columns = columns_of_call(call, migration, key);
	/* a key that an earlier call has changed must have got the same type */
	if (first && is_changed(migration, key))
	{
		(void) change_column_like(call, migration, key, true, NIL);
		migration = migration_get_for_change(name);
	}
	left = columns_to_change(migration, columns);
	if (left == NIL)
		return false;
	left = columns_of_table(left, ((TableColumn *) linitial(left))->relation);
	begin_change(migration, columns, left);
	foreach(lc, left)
		(void) change_column_like(call, migration, lfirst(lc), lfirst(lc) == key, NIL);
	return true;
}

/* What is in the way of any of them is told once all are changed. */
static void
end_change(const char *name)
{
	Migration  *migration = migration_get(name);
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
		column_moves_warn(migration, lfirst(lc));
}

static Datum
tandem_change_key_staged(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(call, CHANGE_ARGUMENTS);
	char	   *name = argument_text(fcinfo, CHANGE_MIGRATION, "migration");
	bool		changed = false;

	check_key_call(fcinfo);
	(void) argument_text(fcinfo, CHANGE_TYPE, "type");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	take_arguments_of_key(call, fcinfo);
	while (change_next_table(call, name, !changed))
	{
		changed = true;
		transaction_commit();
	}
	if (changed)
		end_change(name);
	else
		ereport(NOTICE, (errmsg("migration \"%s\" changes the key and all that refers to it already", name)));
	SPI_finish();
	if (PG_GETARG_INT32(KEY_WORKERS) > 0)
		migrate_here(name, PG_GETARG_INT32(KEY_WORKERS));
	PG_RETURN_VOID();
}
