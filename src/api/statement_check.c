/*
 * statement_check.c
 *		Statements that contract runs: do they name tables and columns as these are
 *		called then?
 *
 * Contract gives columns their new names first, and tables theirs last.  One that
 * fails could not be taken back but with the migration, so it is refused at expand.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/statement_check.h"
#include "catalog/operation.h"
#include "catalog/renamed_column.h"
#include "core/text.h"
#include "ddl/statement_names.h"
#include "ending/operations.h"
#include "rule/release_names.h"

/* Earlier releases are contracted before. */
static char *
table_name_at_contract(const Migration *migration, Oid relid)
{
	return migration->release == 0 || table_is_replicated(relid)
		? quoting_raw_name(relid) : operation_table_name(migration->release - 1, relid);
}

static void
refuse_table_name(Oid relid, const RangeVar *name, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table \"%s\" is not called \"%s\" when contract runs the statement",
					quoting_shown_name(relid), name->relname),
			 errdetail("Contract gives columns their new names first, then runs the statements, then gives tables theirs. What an earlier release renames has its name by then."),
			 errhint("Write %s.", quote_identifier(expected))));
}

/* Returns the table that is meant, by whatever name, or InvalidOid. */
static Oid
table_meant(const Migration *migration, const RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);

	return OidIsValid(relid) ? relid
		: operation_table_called(name, migration->name, migration->release);
}

/* Returns the table that is meant, or InvalidOid. */
static Oid
check_table_name(const Migration *migration, const RangeVar *name)
{
	Oid			relid = table_meant(migration, name);
	char	   *expected;

	if (!OidIsValid(relid))
		return InvalidOid;
	expected = table_name_at_contract(migration, relid);
	if (strcmp(expected, name->relname) != 0)
		refuse_table_name(relid, name, expected);
	return relid;
}

static ReleaseNames
column_names_at_contract(const Migration *migration, Oid relid)
{
	ReleaseNames names = release_names_after(migration->release, relid);

	/* what goes is there yet */
	names.gone = NIL;
	names.known_by = "a statement at contract";
	/* whether it is contracted before a rename or after it nobody knows */
	if (migration->release == 0)
	{
		names.known_by = NULL;
		names.first = renamed_column_list(relid, PG_INT32_MAX);
	}
	if (table_is_replicated(relid))
	{
		names.otherwise = names.first;
		names.first = NIL;
	}
	return names;
}

static void
check_column_names(const Migration *migration, Oid relid, List *columns)
{
	ReleaseNames names = column_names_at_contract(migration, relid);
	ListCell   *lc;

	foreach(lc, columns)
		release_names_check(&names, lfirst(lc));
}

static void
statement_error_callback(void *arg)
{
	errcontext("statement at contract: %s", (char *) arg);
}

/* Returns the names, of which those of tables and columns are as they are to be. */
static StatementNames
check_names(const Migration *migration, const char *statement)
{
	StatementNames names = statement_names(statement);
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, names.tables)
	{
		const NamedTable *table = lfirst(lc);
		Oid			relid = check_table_name(migration, table->name);

		relids = list_append_unique_oid(relids, relid);
		if (OidIsValid(relid))
			check_column_names(migration, relid, table->columns);
	}
	/* of several tables nobody can tell whose column it is */
	if (list_length(relids) == 1 && OidIsValid(linitial_oid(relids)))
		check_column_names(migration, linitial_oid(relids), names.columns);
	return names;
}

/*-------------------------------------------------------------------------
 * Names of nothing.
 *-------------------------------------------------------------------------
 */

/*
 * Will a statement called for before, of this migration or another one, have made
 * something of that name?  In which schema or table it does is not looked at.
 */
static bool
is_made_before(const char *name)
{
	ListCell   *lc;

	foreach(lc, operation_open_statements())
	{
		if (text_is_among(name, statement_names(lfirst(lc)).made))
			return true;
	}
	return false;
}

static void
check_columns_exist(const Migration *migration, Oid relid, const NamedTable *table, List *made)
{
	ReleaseNames names = column_names_at_contract(migration, relid);
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		char	   *column = lfirst(lc);

		if (get_attnum(relid, release_names_stored(&names, column)) != InvalidAttrNumber ||
			text_is_among(column, made) || is_made_before(column) ||
			is_made_before(table->name->relname))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						column, quoting_shown_name(relid)),
				 errhint("Name a column that is there; or add it, by the migration or by an earlier statement at contract, then call this again.")));
	}
}

static char *
shown_name(const RangeVar *name)
{
	return name->schemaname ? psprintf("%s.%s", name->schemaname, name->relname) : name->relname;
}

static void
check_exist(const Migration *migration, const StatementNames *names)
{
	ListCell   *lc;

	foreach(lc, names->tables)
	{
		const NamedTable *table = lfirst(lc);
		Oid			relid = table_meant(migration, table->name);

		if (OidIsValid(relid))
			check_columns_exist(migration, relid, table, names->made);
		else if (!table->optional && !text_is_among(table->name->relname, names->made) &&
				 !is_made_before(table->name->relname))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation \"%s\" does not exist",
							shown_name(table->name)),
					 errhint("Name one that is there; or create it, by the script of the migration or by an earlier statement at contract, then call this again.")));
	}
}

void
statement_check_names(const Migration *migration, const char *statement)
{
	ErrorContextCallback callback = {error_context_stack, statement_error_callback,
	unconstify(char *, statement)};
	StatementNames names;

	error_context_stack = &callback;
	names = check_names(migration, statement);
	check_exist(migration, &names);
	error_context_stack = callback.previous;
}

/* What is there was looked at by the call of each, under its search_path. */
void
statements_check_names(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_STATEMENT))
	{
		char	   *statement = ((Operation *) lfirst(lc))->statement;
		ErrorContextCallback callback = {error_context_stack, statement_error_callback,
		statement};

		error_context_stack = &callback;
		(void) check_names(migration, statement);
		error_context_stack = callback.previous;
	}
}
