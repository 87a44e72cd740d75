/*
 * column_operation.c
 *		SQL functions rename_column and drop_column: what contract does to a
 *		column that a release knows by another name, or not at all.
 *
 * Each is a rule without a new side.  Nothing is filled: the release is ready at
 * once.  The trigger marks who writes the table meanwhile; for a column that goes it
 * gives the old release what down says of a row that the new one has written.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/absent_column.h"
#include "api/arguments.h"
#include "api/at_once.h"
#include "api/column_operation.h"
#include "api/expand.h"
#include "api/operations.h"
#include "api/planned_builds.h"
#include "api/statement_check.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/owned_column.h"
#include "catalog/registry.h"
#include "catalog/release_view.h"
#include "catalog/renamed_column.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "rule/release_names.h"
#include "trigger/target.h"
#include "views/view_kept.h"

OPERATION_FUNCTION(tandem_rename_column, at_once_call)
OPERATION_FUNCTION(tandem_drop_column, at_once_call)

void
column_operation_check_release(const Migration *migration, const char *function)
{
	if (migration->release > 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" has no release", migration->name),
			 errdetail("What %s does is seen by one release and not by the one before it.",
					   function),
			 errhint("Run CALL tandem.abort(%s); SELECT tandem.create_migration(%s, release => %d); with the number of the first release that is to see it.",
					 quote_literal_cstr(migration->name),
					 quote_literal_cstr(migration->name), registry_next_release())));
}

SyncRule *
column_operation_rule(FunctionCallInfo fcinfo, const Migration *migration)
{
	SyncRule   *rule = palloc0(sizeof(SyncRule));
	char	   *column = argument_name(fcinfo, 2, "column_name");
	ReleaseNames names;

	rule->migration_id = migration->id;
	rule->migration = migration->name;
	rule->release = migration->release;
	rule->relation = argument_relation(fcinfo, 1);
	rule->on_conflict = ON_CONFLICT_ERROR;
	rule->stored = true;
	rule->search_path = pstrdup(namespace_search_path);
	names = release_names_before(migration->release, rule->relation);
	rule->old_columns = list_make1(release_names_stored(&names, column));
	return rule;
}

static char *
column_of(const SyncRule *rule)
{
	return linitial(rule->old_columns);
}

static void
check_column_exists(const SyncRule *rule)
{
	AttrNumber	attnum = get_attnum(rule->relation, column_of(rule));

	if (attnum > 0)
		return;
	if (attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" of table \"%s\" is a system column",
						column_of(rule), quoting_shown_name(rule->relation)),
				 errhint("Name a column of your own.")));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table \"%s\" does not exist",
					column_of(rule), quoting_shown_name(rule->relation)),
			 errhint("Name a column as the releases before %d know it.",
					 rule->release)));
}

/*-------------------------------------------------------------------------
 * Other operations on the column.
 *
 * Two of one migration could only be what one of them says already.  Those of
 * several migrations follow each other in the order of their releases, each from
 * what the one before has left.
 *-------------------------------------------------------------------------
 */

static char *
describe_operation(const SyncRule *other, const char *column)
{
	if (rule_changes_column(other))
		return pstrdup("changes it");
	if (other->new_name)
		return psprintf("renames it to \"%s\"", other->new_name);
	if (rule_drops_column(other))
		return pstrdup("drops it");
	if (text_is_among(column, other->new_columns))
		return pstrdup("computes it");
	return other->keep_old ? pstrdup("computes another column from it")
		: psprintf("replaces it by %s", text_joined(other->new_columns, "", ", "));
}

static void
refuse_second_operation(const SyncRule *rule, const SyncRule *other)
{
	const char *column = column_of(rule);

	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" has another operation on column \"%s\" of table \"%s\"",
					rule->migration, column, quoting_shown_name(rule->relation)),
			 errdetail("It %s.", describe_operation(other, column)),
			 text_is_among(column, other->new_columns)
			 ? errhint("Add the column under the name that it is to have, or leave it out.")
			 : errhint("Say what becomes of the column in one call. To take the other call back, run CALL tandem.abort(%s); and the script without it.",
					   quote_literal_cstr(rule->migration))));
}

static void
refuse_other_migration(const SyncRule *rule, const SyncRule *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"%s\" of table \"%s\" belongs to migration \"%s\"",
					column_of(rule), quoting_shown_name(rule->relation),
					other->migration),
			 other->release > 0
			 ? errdetail("That is of release %d and %s.", other->release,
						 describe_operation(other, column_of(rule)))
			 : errdetail("That has no release and %s.",
						 describe_operation(other, column_of(rule))),
			 other->release > 0 && other->release < rule->release
			 ? errhint("Start from the columns that release %d has.", other->release)
			 : errhint("End that migration first, with contract or abort.")));
}

/* Of an earlier release the new column is where a later one may start. */
static bool
operation_continues(const SyncRule *rule, const SyncRule *other)
{
	return other->release > 0 && other->release < rule->release &&
		(other->keep_old || text_is_among(column_of(rule), other->new_columns));
}

static void
check_other_operations(const SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(rule->relation))
	{
		SyncRule   *other = lfirst(lc);

		if (!text_is_among(column_of(rule), other->old_columns) &&
			!text_is_among(column_of(rule), other->new_columns))
			continue;
		if (other->migration_id == rule->migration_id)
			refuse_second_operation(rule, other);
		if (!operation_continues(rule, other))
			refuse_other_migration(rule, other);
	}
	if (text_is_among(column_of(rule),
					  owned_column_list(rule->migration_id, rule->relation)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("migration \"%s\" has added column \"%s\" of table \"%s\" itself",
						rule->migration, column_of(rule),
						quoting_shown_name(rule->relation)),
				 errhint("Add the column under the name that it is to have, or leave it out.")));
}

/*-------------------------------------------------------------------------
 * rename_column
 *-------------------------------------------------------------------------
 */

/* Does this migration drop the column that has the name, or give it another one? */
static bool
name_is_freed(const SyncRule *rule, const char *name)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_table(rule->migration_id, rule->relation))
	{
		SyncRule   *other = lfirst(lc);

		if ((!other->keep_old || other->new_name) && !rule_changes_column(other) &&
			text_is_among(name, other->old_columns))
			return true;
	}
	return false;
}

static void
refuse_name(const SyncRule *rule, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column \"%s\" of table \"%s\" cannot be renamed to \"%s\"",
					column_of(rule), quoting_shown_name(rule->relation),
					rule->new_name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/* Another migration may be about to free the name. */
static void
refuse_name_of_column(const SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, renamed_column_list(rule->relation, rule->release))
	{
		SyncRule   *other = lfirst(lc);
		bool		live;

		if (rule_has_new_side(other) || strcmp(linitial(other->old_columns), rule->new_name) != 0)
			continue;
		(void) sync_get(other->id, &live);
		refuse_name(rule,
					psprintf("The table has a column of that name, which is \"%s\" from release %d on.",
							 other->new_name, other->release),
					live ? psprintf("Run CALL tandem.contract(%s); before the script of release %d, or choose another name.",
									quote_literal_cstr(other->migration), rule->release)
					: psprintf("Run SELECT tandem.take_names(%s); before the script of release %d, or choose another name.",
							   quote_literal_cstr(other->migration), rule->release));
	}
	foreach(lc, sync_list_of_relation(rule->relation))
	{
		SyncRule   *other = lfirst(lc);

		if (!other->keep_old && !rule_changes_column(other) && other->release > 0 &&
			other->release < rule->release && text_is_among(rule->new_name, other->old_columns))
			refuse_name(rule,
						psprintf("The table has a column of that name, which migration \"%s\" of release %d drops.",
								 other->migration, other->release),
						psprintf("Run CALL tandem.contract(%s); before the script of release %d, or choose another name.",
								 quote_literal_cstr(other->migration), rule->release));
	}
	refuse_name(rule, "The table has a column of that name.",
				"Choose another name. If the column that has it goes in this migration, or gets another name, call tandem.drop_column or tandem.rename_column for that first. Two columns exchange their names in two releases: by the first, one of them has a third name.");
}

static bool
not_null_was_called_for(const SyncRule *rule, const char *column)
{
	ListCell   *lc;

	foreach(lc, step_list_of_tables(rule->migration_id, STEP_NOT_NULL, list_make1_oid(rule->relation)))
	{
		if (strcmp(((Step *) lfirst(lc))->object, column) == 0)
			return true;
	}
	return false;
}

static void
check_new_name(const SyncRule *rule)
{
	AttrNumber	attnum = get_attnum(rule->relation, rule->new_name);
	SyncRule   *shown;

	if (rule->new_name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a column must not be empty"),
				 errhint("Call it as in SELECT tandem.rename_column('my_migration', 'my_table', 'my_column', 'new_name');")));
	if (attnum < 0)
		refuse_name(rule, "It is the name of a system column.", "Choose another name.");
	if (attnum > 0 && !name_is_freed(rule, rule->new_name))
		refuse_name_of_column(rule);
	if (not_null_was_called_for(rule, rule->new_name))
		refuse_name(rule,
					"A call of tandem.add_not_null before this one names another column so: run again, it would mean this one.",
					psprintf("To take it back, run CALL tandem.abort(%s); and the script with it at the end, and the names of release %d.",
							 quote_literal_cstr(rule->migration), rule->release));
	shown = sync_shown_under(rule->relation, rule->new_name);
	if (shown)
		refuse_name(rule, psprintf("The views of releases show %s under that name, by migration \"%s\".",
								   text_joined(shown->old_columns, "", ", "),
								   shown->migration),
					"Choose another name.");
}

/* Names and columns of a view that nodes may use never change. */
static void
check_not_shown(const SyncRule *rule)
{
	AttrNumber	attnum = get_attnum(rule->relation, column_of(rule));
	ListCell   *lc;
	ListCell   *shown;
	ListCell   *name;

	foreach(lc, release_view_list(rule->relation))
	{
		const ReleaseView *view = lfirst(lc);

		if (view->ended || view->release < rule->release ||
			!release_view_is_fixed(view->release))
			continue;
		forboth(shown, view_kept_plain(view->view, rule->relation), name, view->columns)
		{
			if (lfirst_int(shown) == attnum &&
				(rule->new_name == NULL || rule_changes_column(rule) ||
				 strcmp(lfirst(name), rule->new_name) != 0))
				operation_refuse_shown(view, psprintf("column \"%s\" of table \"%s\"",
													  (char *) lfirst(name),
													  quoting_shown_name(rule->relation)));
		}
	}
}

void
column_operation_check(const Migration *migration, const SyncRule *rule)
{
	migration_check(migration, ACTION_EXPAND);
	check_tree_is_own(rule->relation);
	check_column_exists(rule);
	check_other_operations(rule);
	check_not_shown(rule);
}

static Datum
tandem_rename_column_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	SyncRule   *rule;

	column_operation_check_release(migration, "rename_column");
	rule = column_operation_rule(fcinfo, migration);
	rule->new_name = argument_name(fcinfo, 3, "new_name");
	rule->keep_old = true;
	if (repeat_rule(migration, rule))
		PG_RETURN_VOID();
	column_operation_check(migration, rule);
	check_new_name(rule);
	expand_add_sync(migration, rule);
	statements_check_names(migration);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * drop_column
 *-------------------------------------------------------------------------
 */

static void
check_down_can_write(const SyncRule *rule)
{
	HeapTuple	tuple;
	Form_pg_attribute att;

	if (rule->down == NIL)
	{
		if (rule->quarantine)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("on_error of column \"%s\" needs down", column_of(rule)),
					 errdetail("It decides what becomes of a row on which down fails."),
					 errhint("Give down, or leave out on_error.")));
		return;
	}
	tuple = SearchSysCacheAttName(rule->relation, column_of(rule));
	if (!HeapTupleIsValid(tuple))
		return;
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (att->attgenerated != '\0' || att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("down cannot write column \"%s\", which the server computes",
						column_of(rule)),
				 errhint("Leave out down.")));
	ReleaseSysCache(tuple);
}

/*
 * What is in the way of contract now: the new release may do without it, but
 * nobody else knows.
 */
static void
warn_of_users(const SyncRule *rule)
{
	TableColumn column = {rule->relation, column_of(rule)};
	List	   *columns = list_make1(&column);
	List	   *lines = list_concat(linitial(column_keys(columns, rule->migration_id)),
									linitial(column_dependents(columns, rule->migration_id)));

	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("column \"%s\" of table \"%s\" is in use",
					column_of(rule), quoting_shown_name(rule->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Contract is refused as long as this is so: move it to other columns, drop it, or have contract do so with tandem.at_contract.")));
}

static Datum
tandem_drop_column_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	SyncRule   *rule;
	char	   *down;

	column_operation_check_release(migration, "drop_column");
	rule = column_operation_rule(fcinfo, migration);
	down = argument_optional_text(fcinfo, 3);
	rule->down = down ? list_make1(down) : NIL;
	rule->quarantine = quarantine_from_name(argument_text(fcinfo, 4, "on_error"));
	if (repeat_rule(migration, rule))
		PG_RETURN_VOID();
	column_operation_check(migration, rule);
	absent_column_check(rule);
	check_down_can_write(rule);
	expand_add_sync(migration, rule);
	warn_of_users(rule);
	PG_RETURN_VOID();
}
