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

/* Returns the table that is meant, or InvalidOid. */
static Oid
check_table_name(const Migration *migration, const RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	char	   *expected;

	if (!OidIsValid(relid))
		relid = operation_table_called(name, migration->name, migration->release);
	if (!OidIsValid(relid))
		return InvalidOid;
	expected = table_name_at_contract(migration, relid);
	if (strcmp(expected, name->relname) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" is not called \"%s\" when contract runs the statement",
						quoting_shown_name(relid), name->relname),
				 errdetail("Contract gives columns their new names first, then runs the statements, then gives tables theirs. What an earlier release renames has its name by then."),
				 errhint("Write %s.", quote_identifier(expected))));
	return relid;
}

static ReleaseNames
column_names_at_contract(const Migration *migration, Oid relid)
{
	ReleaseNames names = release_names_after(migration->release, relid);

	/* what goes is there yet */
	names.gone = NIL;
	names.known_by = "a statement at contract";
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

void
statement_check_names(const Migration *migration, const char *statement)
{
	ErrorContextCallback callback = {error_context_stack, statement_error_callback,
	unconstify(char *, statement)};
	StatementNames names = statement_names(statement);
	List	   *relids = NIL;
	ListCell   *lc;

	error_context_stack = &callback;
	foreach(lc, names.relations)
		relids = list_append_unique_oid(relids, check_table_name(migration, lfirst(lc)));
	/* of several tables nobody can tell whose column it is */
	if (migration->release > 0 && list_length(relids) == 1 && OidIsValid(linitial_oid(relids)))
		check_column_names(migration, linitial_oid(relids), names.columns);
	error_context_stack = callback.previous;
}

void
statements_check_names(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_STATEMENT))
		statement_check_names(migration, ((Operation *) lfirst(lc))->statement);
}
