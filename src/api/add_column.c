/*
 * add_column.c
 *		SQL function add_column: a column that the migration adds, and what
 *		it holds.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/expand.h"
#include "api/new_column.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/owned_column.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "trigger/target.h"

OPERATION_FUNCTION(tandem_add_column, at_once_call)

/*-------------------------------------------------------------------------
 * The arguments.
 *-------------------------------------------------------------------------
 */

static void
check_arguments_fit(const NewColumn *column)
{
	if (column->quarantine && column->up == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_error of column \"%s\" needs up", column->name),
				 errdetail("It decides what becomes of a row on which up fails."),
				 errhint("Give up, or leave out on_error.")));
	if (column->given.not_null && column->up == NULL &&
		column->given.default_given == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot be NOT NULL without up or default_value",
						column->name),
				 errdetail("Every INSERT of a release that does not know the column would fail."),
				 errhint("Give up, from which the column is computed, or default_value; or leave out not_null.")));
}

static void
read_arguments(FunctionCallInfo fcinfo, NewColumn *column)
{
	memset(column, 0, sizeof(NewColumn));
	column->relation = argument_relation(fcinfo, 1);
	column->name = argument_name(fcinfo, 2, "column_name");
	new_column_read_type(column, argument_text(fcinfo, 3, "type"));
	column->up = argument_optional_text(fcinfo, 4);
	column->given.default_given = argument_optional_text(fcinfo, 5);
	column->default_sql = column->given.default_given;
	column->given.not_null = argument_bool(fcinfo, 6, "not_null");
	column->quarantine = quarantine_from_name(argument_text(fcinfo, 7, "on_error"));
	if (column->name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a column must not be empty"),
				 errhint("Call it as in SELECT tandem.add_column('my_migration', 'my_table', 'my_column', 'text');")));
	check_arguments_fit(column);
}

/*-------------------------------------------------------------------------
 * The same call again.
 *-------------------------------------------------------------------------
 */

/* Returns the rule of the derived column, or NULL. */
static SyncRule *
find_derived_rule(const Migration *migration, const NewColumn *column)
{
	ListCell   *lc;

	foreach(lc, sync_list_recorded(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == column->relation && rule_is_derived(rule) &&
			strcmp(linitial(rule->new_columns), column->name) == 0)
			return rule;
	}
	return NULL;
}

static void
check_same_up(const Migration *migration, const char *object,
			  const NewColumn *column)
{
	SyncRule   *rule = find_derived_rule(migration, column);
	char	   *recorded = rule ? linitial(rule->up_given) : NULL;

	if (!repeat_same_expression(recorded, rule ? linitial(rule->up) : NULL,
								column->up))
		repeat_refuse(migration, object, "up", recorded, column->up);
	if (rule && rule->quarantine != column->quarantine)
		repeat_refuse(migration, object, "on_error",
					  rule->quarantine ? "quarantine" : "error",
					  column->quarantine ? "quarantine" : "error");
}

/* Does the migration have this column? */
static bool
repeat_column(const Migration *migration, const NewColumn *column)
{
	char	   *recorded;
	char	   *object;

	if (repeat_skip_forgotten(migration, column->relation))
		return true;
	recorded = owned_column_type(migration->id, column->relation, column->name);
	if (recorded == NULL)
		return false;
	/* the user has dropped it; add it again while that is possible */
	if (migration->phase == PHASE_EXPAND &&
		get_attnum(column->relation, column->name) == InvalidAttrNumber)
		return false;
	object = psprintf("column %s of %s", quote_identifier(column->name),
					  quoting_relation(column->relation));
	check_same_up(migration, object, column);
	new_column_check_same(migration, object, column);
	repeat_skip(migration, object);
	return true;
}

static void
add_rule(Migration *migration, const NewColumn *column)
{
	SyncRule   *rule = palloc0(sizeof(SyncRule));

	rule->migration_id = migration->id;
	rule->migration = migration->name;
	rule->release = migration->release;
	rule->relation = column->relation;
	rule->new_columns = list_make1(column->name);
	rule->up = list_make1(column->up);
	rule->on_conflict = ON_CONFLICT_ERROR;
	rule->quarantine = column->quarantine;
	rule->stored = true;
	rule->search_path = pstrdup(namespace_search_path);
	expand_add_sync(migration, rule);
}

static Datum
tandem_add_column_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	NewColumn	column;

	read_arguments(fcinfo, &column);
	if (repeat_column(migration, &column))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	target_check_table(column.relation);
	new_column_add(migration, &column);
	expand_done(migration, column.relation,
				psprintf("column %s of %s", quote_identifier(column.name),
						 quoting_relation(column.relation)));
	if (column.up)
		add_rule(migration, &column);
	if (column.given.not_null)
		(void) step_add_not_null(migration->id, column.relation, column.name);
	PG_RETURN_VOID();
}
