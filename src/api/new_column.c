/*
 * new_column.c
 *		A column that a migration adds to a table: its type, its default, and the
 *		column itself, without rewriting the table.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/added_column.h"
#include "api/expand.h"
#include "api/new_column.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * The type.
 *-------------------------------------------------------------------------
 */

/* The server computes a volatile default for each row there is. */
static void
check_default_of_domain(const NewColumn *column)
{
	Node	   *value = NULL;

	if (column->up == NULL && column->default_sql == NULL &&
		get_typtype(column->type) == TYPTYPE_DOMAIN)
		value = get_typdefault(column->type);
	if (value && contain_volatile_functions(value))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("adding a column of domain %s rewrites the table",
						column->type_text),
				 errdetail("The domain's default is volatile."),
				 errhint("Give that default as default_value: rows that are there stay null then.")));
}

static void
check_type_of_column(Oid type, const char *text)
{
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("a column cannot have pseudo-type %s", text)));
	if (compat_is_checked_domain(type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("adding a column of domain %s rewrites the table", text),
				 errdetail("The server checks the domain's constraints on every row, with the table locked."),
				 errhint("Add a column of the domain's base type, and a CHECK constraint NOT VALID.")));
}

void
new_column_read_type(NewColumn *column, const char *text)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		compat_parse_type(text, &column->type, &column->typmod);
		check_type_of_column(column->type, text);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller,
						  "Give the name of a type alone, as in 'numeric(10,2)'; for a default give default_value, for a constraint or a sequence use ALTER TABLE in the same transaction.");
	}
	PG_END_TRY();
	column->type_text = owned_column_type_text(column->type, column->typmod);
}

/*-------------------------------------------------------------------------
 * The default.
 *
 * It is parsed as the caller, and handed to the server with all names
 * qualified.  A default that is not volatile is computed once, and rows that
 * are there get it without being written.  Not so if up is given: a row that is
 * not filled must be told by its NULL from one that holds the default.
 *-------------------------------------------------------------------------
 */

static bool
default_is_volatile(const NewColumn *column)
{
	return contain_volatile_functions(column->default_value);
}

static bool
default_is_null(const NewColumn *column)
{
	Node	   *value = expression_fold(column->default_value);

	while (IsA(value, CoerceToDomain))
		value = (Node *) ((CoerceToDomain *) value)->arg;
	return IsA(value, Const) && ((Const *) value)->constisnull;
}

static void
check_not_null_holds(const NewColumn *column)
{
	if (!column->given.not_null || column->up)
		return;
	if (default_is_null(column))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be NOT NULL with default_value NULL",
						column->name),
				 errdetail("Every INSERT of a release that does not know the column would fail."),
				 errhint("Give up, from which the column is computed, or another default_value; or leave out not_null.")));
	if (default_is_volatile(column))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be NOT NULL with a volatile default_value alone",
						column->name),
				 errdetail("The default is not computed for rows that are there: that would rewrite the table."),
				 errhint("Give the same expression as up, too: the backfill computes it for each row.")));
}

typedef struct DefaultReading
{
	const NewColumn *column;
	bool		same;
} DefaultReading;

/* Reads the qualified text as the server will. */
static void
read_default_again(void *arg)
{
	DefaultReading *reading = arg;
	const NewColumn *column = reading->column;
	AuthorityScope scope;
	Node	   *again;

	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	again = expression_parse_default(column->default_text, column->name,
									 column->type, column->typmod);
	authority_leave(&scope);
	reading->same = equal(again, column->default_value) ||
		equal(expression_fold(again), expression_fold(column->default_value));
}

/*
 * Some constructs look up an operator by its bare name.  When the qualified
 * text is read they find another one, or none.
 */
static void
check_default_keeps_meaning(const NewColumn *column)
{
	DefaultReading reading = {column, false};
	ErrorData  *error = subtransaction_try(read_default_again, &reading);

	if (error &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION)
		ReThrowError(error);
	if (reading.same)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("default_value of column \"%s\" depends on search_path",
					column->name),
			 errdetail("Given: %s. With all names qualified: %s.",
					   column->default_sql, column->default_text),
			 errhint("Put the expression into a function with its own SET search_path, and call that.")));
}

static void
read_default(NewColumn *column)
{
	Relation	rel;

	if (column->default_sql == NULL)
		return;
	column->default_value = expression_parse_default(column->default_sql,
													 column->name,
													 column->type,
													 column->typmod);
	rel = table_open(column->relation, NoLock);
	column->default_text = expression_deparse(column->default_value, rel);
	table_close(rel, NoLock);
	check_default_keeps_meaning(column);
	check_not_null_holds(column);
}

/*-------------------------------------------------------------------------
 * The column.
 *-------------------------------------------------------------------------
 */

static void
check_name_is_free(const NewColumn *column)
{
	if (get_attnum(column->relation, column->name) != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" already exists",
						column->name, quoting_shown_name(column->relation)),
				 errhint("Choose another name, or sync the column that is there with tandem.sync_column.")));
}

/*
 * What rows that are there get.  NULL is not left to the default of a domain; without one,
 * the server would keep a DEFAULT NULL that is cast to the length of the type.
 */
static char *
clause_for_rows(const NewColumn *column)
{
	if (column->default_value == NULL &&
		(column->up == NULL || get_typtype(column->type) != TYPTYPE_DOMAIN))
		return "";
	return psprintf(" DEFAULT %s",
					column->up || default_is_volatile(column)
					? "NULL" : column->default_text);
}

static char *
clause_for_collation(const NewColumn *column)
{
	HeapTuple	tuple = OidIsValid(column->collation)
	? SearchSysCache1(COLLOID, ObjectIdGetDatum(column->collation)) : NULL;
	Form_pg_collation collation;
	char	   *clause;

	if (!HeapTupleIsValid(tuple))
		return "";
	collation = (Form_pg_collation) GETSTRUCT(tuple);
	clause = psprintf(" COLLATE %s",
					  quote_qualified_identifier(quoting_raw_schema(collation->collnamespace),
												 NameStr(collation->collname)));
	ReleaseSysCache(tuple);
	return clause;
}

/* Without rewriting the table. */
static void
add_to_table(const NewColumn *column)
{
	const char *name = quote_identifier(column->name);
	char	   *table = quoting_relation(column->relation);

	ddl_run(psprintf("ALTER TABLE %s ADD COLUMN %s %s%s%s", table, name,
					 column->type_text, clause_for_collation(column), clause_for_rows(column)));
	if (column->default_value)
		ddl_run(psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
						 table, name, column->default_text));
	else if (column->up && get_typtype(column->type) == TYPTYPE_DOMAIN)
		ddl_run(psprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", table,
						 name));
}

void
new_column_add(const Migration *migration, NewColumn *column)
{
	check_default_of_domain(column);
	check_name_is_free(column);
	if (owned_column_list(migration->id, column->relation) == NIL)
		added_column_warn_of_readers(column->relation);
	target_lock(column->relation, table_tree(column->relation),
				AccessExclusiveLock);
	added_column_check_room(column->relation, column->name, column->type,
							column->typmod);
	read_default(column);
	add_to_table(column);
	owned_column_add(migration->id, column->relation, column->name, true);
	owned_column_note(migration->id, column->relation, column->name,
					  &column->given);
}

void
new_column_check_same(const Migration *migration, const char *object,
					  const NewColumn *column)
{
	char	   *type = owned_column_type(migration->id, column->relation, column->name);
	ColumnArguments recorded;

	if (type == NULL)
		return;
	if (strcmp(type, column->type_text) != 0)
		repeat_refuse(migration, object, "type", type, column->type_text);
	owned_column_read(migration->id, column->relation, column->name, &recorded);
	if (!repeat_same_expression(recorded.default_given, recorded.default_given,
								column->given.default_given))
		repeat_refuse(migration, object, "default_value", recorded.default_given,
					  column->given.default_given);
	if (recorded.not_null != column->given.not_null)
		repeat_refuse(migration, object, "not_null",
					  recorded.not_null ? "true" : "false",
					  column->given.not_null ? "true" : "false");
}
