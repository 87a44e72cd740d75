/*
 * expand.c
 *		Phase expand: adds syncs, or finds that they exist.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "api/absent_column.h"
#include "api/added_column.h"
#include "api/arguments.h"
#include "api/at_once.h"
#include "api/carried.h"
#include "api/expand.h"
#include "api/planned_builds.h"
#include "api/rule_text.h"
#include "api/rule_try.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/operation.h"
#include "catalog/owned_column.h"
#include "catalog/subscription.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/direct_update.h"
#include "region/gate.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"
#include "release/fence.h"
#include "release/readiness.h"
#include "rule/expression.h"
#include "rule/fill_mark.h"
#include "rule/meaning.h"
#include "rule/relation_rules.h"
#include "rule/rule_compile.h"
#include "rule/rule_uses.h"
#include "trigger/added_columns.h"
#include "trigger/install.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * Running a script again: finds what the migration already has.
 *-------------------------------------------------------------------------
 */

static const char *
text_or_none(const char *text)
{
	return text ? text : "none";
}

void
repeat_refuse(const Migration *migration, const char *object, const char *what,
			  const char *recorded, const char *given)
{
	bool		over = migration->phase == PHASE_DONE;

	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" has %s already, with another %s",
					migration->name, object, what),
			 errdetail("Recorded: %s. Given: %s.", text_or_none(recorded),
					   text_or_none(given)),
			 over ? errhint("The migration is done. For another change, run SELECT tandem.create_migration('another name');")
			 : errhint("Run the script as it was, or run CALL tandem.abort(%s) and then the new script.",
					   quote_literal_cstr(migration->name))));
}

/*
 * Nothing was changed, so release the lock: no one must wait for our
 * transaction.
 */
void
repeat_skip(const Migration *migration, const char *object)
{
	ereport(NOTICE,
			(errmsg("migration \"%s\" has %s already, skipping",
					migration->name, object)));
	migration_unlock_change(migration);
}

static char *
list_as_text(List *strings)
{
	StringInfoData text;
	ListCell   *lc;

	if (strings == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(lc, strings)
		appendStringInfo(&text, "%s%s", text.len ? ", " : "",
						 text_or_none(lfirst(lc)));
	return text.data;
}

bool
repeat_same_expression(const char *recorded, const char *canonical, const char *given)
{
	if (recorded == NULL || given == NULL)
		return recorded == given;
	return same_sql(RAW_PARSE_PLPGSQL_EXPR, recorded, given) ||
		same_sql(RAW_PARSE_PLPGSQL_EXPR, canonical, given);
}

/* canonical is NIL for a down that was given, but says nothing. */
static bool
same_side(List *recorded, List *canonical, List *given)
{
	if (list_length(recorded) != list_length(given))
		return false;
	if (canonical == NIL)
		canonical = recorded;
	for (int i = 0; i < list_length(given); i++)
	{
		if (!repeat_same_expression(list_nth(recorded, i), list_nth(canonical, i),
									list_nth(given, i)))
			return false;
	}
	return true;
}

static const char *
call_of_rule(const SyncRule *rule)
{
	if (rule_changes_column(rule))
		return "tandem.change_column";
	return rule_is_derived(rule) ? "tandem.add_column" : "tandem.sync_column or tandem.sync_columns";
}

static void
check_same_rule(const Migration *migration, const char *object,
				const SyncRule *recorded, const SyncRule *given)
{
	if (rule_changes_column(recorded) != rule_changes_column(given))
		repeat_refuse(migration, object, "call",
					  call_of_rule(recorded), call_of_rule(given));
	if (!same_strings(recorded->old_columns, given->old_columns))
		repeat_refuse(migration, object, "list of old columns",
					  list_as_text(recorded->old_columns),
					  list_as_text(given->old_columns));
	if (!same_strings(recorded->new_columns, given->new_columns))
		repeat_refuse(migration, object, "list of new columns",
					  list_as_text(recorded->new_columns),
					  list_as_text(given->new_columns));
	if (recorded->new_name && given->new_name &&
		strcmp(recorded->new_name, given->new_name) != 0)
		repeat_refuse(migration, object, "name", recorded->new_name,
					  given->new_name);
	if (!same_side(recorded->up_given, recorded->up, given->up))
		repeat_refuse(migration, object, "up", list_as_text(recorded->up_given),
					  list_as_text(given->up));
	/* a down that is null, as it was given, is none */
	if ((recorded->down != NIL || given->down != NIL) &&
		!same_side(recorded->down_given, recorded->down, given->down))
		repeat_refuse(migration, object, "down", list_as_text(recorded->down_given),
					  list_as_text(given->down));
	if (recorded->on_conflict != given->on_conflict)
		repeat_refuse(migration, object, "on_conflict",
					  on_conflict_name(recorded->on_conflict),
					  on_conflict_name(given->on_conflict));
	if (rule_changes_column(recorded) && recorded->on_table != ON_TABLE_ALIKE &&
		recorded->on_table != given->on_table)
		repeat_refuse(migration, object, "bare_table",
					  recorded->on_table == ON_TABLE_BARE ? "true" : "false",
					  given->on_table == ON_TABLE_BARE ? "true" : "false");
	if (recorded->quarantine != given->quarantine)
		repeat_refuse(migration, object, "on_error",
					  recorded->quarantine ? "quarantine" : "error",
					  given->quarantine ? "quarantine" : "error");
	if (recorded->keep_old != given->keep_old)
		repeat_refuse(migration, object, "keep_old",
					  recorded->keep_old ? "true" : "false",
					  given->keep_old ? "true" : "false");
	if (recorded->stored != given->stored)
		repeat_refuse(migration, object, "stored",
					  recorded->stored ? "true" : "false",
					  given->stored ? "true" : "false");
}

bool
repeat_skip_forgotten(const Migration *migration, Oid relid)
{
	if (!migration->forgotten)
		return false;
	ereport(NOTICE,
			(errmsg("migration \"%s\" is in phase %s and was forgotten, skipping its change of %s",
					migration->name, phase_name(migration->phase),
					quoting_relation(relid))));
	migration_unlock_change(migration);
	return true;
}

/* Are both about the same columns, whatever they say of them? */
static bool
rules_have_one_object(const SyncRule *a, const SyncRule *b)
{
	if (a->relation != b->relation || rule_has_new_side(a) != rule_has_new_side(b))
		return false;
	if (rule_has_new_side(a))
		return texts_share_one(a->new_columns, b->new_columns);
	return rule_drops_column(a) == rule_drops_column(b) &&
		same_strings(a->old_columns, b->old_columns);
}

static char *
describe_rule(const SyncRule *rule)
{
	char	   *table = quoting_relation(rule->relation);

	if (rule_has_new_side(rule))
		return psprintf("a sync of %s to %s", table, list_as_text(rule->new_columns));
	return psprintf("a %s of column %s of %s",
					rule_drops_column(rule) ? "drop" : "rename",
					quote_identifier(linitial(rule->old_columns)), table);
}

bool
repeat_rule(const Migration *migration, const SyncRule *rule)
{
	ListCell   *lc;

	if (repeat_skip_forgotten(migration, rule->relation))
		return true;
	foreach(lc, sync_list_recorded(migration->id))
	{
		SyncRule   *other = lfirst(lc);

		if (!rules_have_one_object(other, rule))
			continue;
		check_same_rule(migration, describe_rule(other), other, rule);
		repeat_skip(migration, describe_rule(other));
		return true;
	}
	return false;
}

/* A definition is a statement, or the text after ADD CONSTRAINT name. */
static bool
same_definition(const Step *recorded, const Step *given)
{
	static const char *const statement = "ALTER TABLE t ADD CONSTRAINT c %s";

	if (recorded->given == NULL || given->given == NULL)
		return recorded->given == given->given;
	if (given->kind == STEP_INDEX)
		return same_sql(RAW_PARSE_DEFAULT, recorded->given, given->given);
	return strcmp(recorded->given, given->given) == 0 ||
		same_sql(RAW_PARSE_DEFAULT, psprintf(statement, recorded->given),
				 psprintf(statement, given->given));
}

static char *
describe_step(const Step *step)
{
	return psprintf("%s %s of %s",
					step->kind == STEP_NOT_NULL ? "a NOT NULL for column"
					: step_kind_name(step->kind),
					quote_identifier(step->object),
					quoting_relation(step->relation));
}

bool
repeat_step(const Migration *migration, const Step *step)
{
	ListCell   *lc;

	if (repeat_skip_forgotten(migration, step->relation))
		return true;
	foreach(lc, step_list_of_tables(migration->id, step->kind,
									list_make1_oid(step->relation)))
	{
		Step	   *other = lfirst(lc);
		bool		same;

		if (step->object && strcmp(other->object, step->object) != 0 &&
			strcmp(carried_name(migration->id, other->relation, other->object), step->object) != 0)
			continue;
		same = same_definition(other, step);
		if (same)
		{
			repeat_skip(migration, describe_step(other));
			return true;
		}
		if (step->object && migration->phase != PHASE_EXPAND)
			repeat_refuse(migration, describe_step(other), "definition",
						  other->given, step->given);
	}
	return false;
}

/*-------------------------------------------------------------------------
 * The SQL functions create_migration, sync_column and sync_columns, for phase
 * expand.
 *
 * They work in the caller's transaction, so that a script of a migration tool
 * is applied completely or not at all.
 *-------------------------------------------------------------------------
 */

OPERATION_FUNCTION(tandem_create_migration, at_once_create)
OPERATION_FUNCTION(tandem_sync_column, at_once_call)
OPERATION_FUNCTION(tandem_sync_columns, at_once_call)

static Datum
tandem_create_migration_staged(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "name");
	int			release = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	Migration  *migration;
	bool		created;

	if (!PG_ARGISNULL(1) && release <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("release must be a positive integer, not %d", release),
				 errhint("Give the first release of the application that knows the new columns, or omit it.")));
	own_tables_warn_published();
	migration = migration_create(name, release,
								 argument_optional_text(fcinfo, 2), &created);
	if (created)
	{
		opening_check(migration);
		region_gate_warn_of_kept(release);
		release_publication_begin(release);
	}
	migration_forget_old();
	fence_let_script_pass(migration->release);
	PG_RETURN_VOID();
}

static void
check_expression_count(SyncRule *rule)
{
	if (rule->old_columns == NIL || rule->new_columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sync needs at least one old and one new column"),
				 rule->new_columns == NIL
				 ? errhint("Call it as in SELECT tandem.sync_columns('my_migration', 'my_table', old => '{a}', new => '{b}', up => '{a + 1}');")
				 : errhint("If no column goes away, call SELECT tandem.add_column('my_migration', 'my_table', 'b', 'integer', up => 'a + 1');")));
	if (list_member_ptr(rule->old_columns, NULL) ||
		list_member_ptr(rule->new_columns, NULL) ||
		list_member_ptr(rule->up, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("old, new and up must not contain nulls"),
				 errhint("Only down may leave out a column, by a null.")));
	if (list_length(rule->up) != list_length(rule->new_columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("up has %d expressions for %d new columns",
						list_length(rule->up), list_length(rule->new_columns)),
				 errhint("Give one expression for each new column, in the same order.")));
	if (rule->down != NIL &&
		list_length(rule->down) != list_length(rule->old_columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("down has %d expressions for %d old columns",
						list_length(rule->down), list_length(rule->old_columns)),
				 errhint("Give one expression for each old column, in the same order, or NULL for one that is not written back.")));
}

void
expand_check_table_is_seen(const Migration *migration, Oid relid)
{
	char	   *other = migration->release > 0 ? operation_hides_table(migration->release, relid) : NULL;

	if (other == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("release %d does not see table \"%s\"", migration->release,
					quoting_shown_name(relid)),
			 errdetail("Migration \"%s\" adds it for a later release, or drops it.", other),
			 errhint("Leave one of the two calls out. To take the other one back, run CALL tandem.abort(%s); and its script without it.",
					 quote_literal_cstr(other))));
}

void
expand_done(Migration *migration, Oid relid, const char *what)
{
	/* contract would find the two in each other's way */
	expand_check_table_is_seen(migration, relid);
	expand_done_unseen(migration, relid, what);
}

void
expand_done_unseen(Migration *migration, Oid relid, const char *what)
{
	if (added_columns_note(migration->id, relid))
		added_column_warn_of_readers(relid);
	/* what other servers are sent, and this one takes from the commit on */
	if (release_publication_exists())
	{
		release_publication_warn_without_release(migration, relid);
		release_publication_follow(list_make1_oid(relid), 0);
		release_publication_warn_of_list(migration, relid);
		release_subscription_take(0, WARNING);
	}
	migration_act(migration, ACTION_EXPAND, what, 0);
	opening_follow(migration);
}

/* New columns that this transaction has added belong to the migration. */
static void
record_owned_columns(Migration *migration, SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, rule->new_columns)
	{
		if (fill_mark_column_is_new(rule->relation, lfirst(lc)))
			owned_column_add(migration->id, rule->relation, lfirst(lc), true);
	}
}

/* Was one added in this transaction by a plain ALTER TABLE, as the first? */
static bool
first_column_was_added(const Migration *migration, const SyncRule *rule)
{
	ListCell   *lc;

	if (owned_column_list(migration->id, rule->relation) != NIL)
		return false;
	foreach(lc, rule->new_columns)
	{
		if (get_attnum(rule->relation, lfirst(lc)) > 0 &&
			fill_mark_column_is_new(rule->relation, lfirst(lc)))
			return true;
	}
	return false;
}

/* Installs the triggers with writers locked out. */
void
expand_add_sync(Migration *migration, SyncRule *rule)
{
	Relation	rel;
	List	   *exact = NIL;

	planned_builds_check_columns(migration, rule);
	if (first_column_was_added(migration, rule))
		added_column_warn_of_readers(rule->relation);

	/*
	 * blocks writers until commit, so that all later writes fire the trigger
	 */
	target_lock(rule->relation, table_tree(rule->relation), ShareRowExclusiveLock);
	target_check_locks(rule);
	sync_check_found(rule->relation);
	rel = table_open(rule->relation, NoLock);
	if (rule_has_new_side(rule))
	{
		/* the fill updates all rows */
		replicated_table_check(rule->relation);
		exact = fill_mark_exact_tables(table_leaves(rule->relation),
									   rule->new_columns);
	}
	rule->up_given = rule->up;
	rule->down_given = rule->down;
	if (rule_has_new_side(rule))
		rule_text_drop_null_down(rule, rel);
	target_check_columns(rule, rel, exact);
	absent_column_check_domains(rule, rel);
	target_check_triggers(rule, rule->relation);
	rule_text_store(rule, rel);
	if (rule_has_new_side(rule) && !rule_is_derived(rule))
		rule->uses = rule_uses(rel, list_make1(rule), true);
	table_close(rel, NoLock);
	record_owned_columns(migration, rule);
	sync_insert(rule);
	sync_install(rule->relation);
	if (rule_has_new_side(rule))
		fill_mark_set_exact(rule, exact);
	if (rule_has_new_side(rule) || rule->down != NIL)
		rule_try(rule);
	expand_done(migration, rule->relation,
				psprintf("sync of %s", quoting_relation(rule->relation)));
}

/*
 * Records a sync of new columns that are not in the table; only views show
 * them.
 */
static void
add_unstored_sync(Migration *migration, SyncRule *rule)
{
	Relation	rel;

	if (rule->down != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sync that is not stored has no down"),
				 errdetail("Through the view of a release a plain column is written as it is; what is computed is only read."),
				 errhint("Leave out down, or stored => false.")));
	target_lock(rule->relation, list_make1_oid(rule->relation), AccessShareLock);
	rel = table_open(rule->relation, NoLock);
	target_check_unstored(rule, rel);
	rule->up_given = rule->up;
	rule_text_store_unstored(rule, rel);
	table_close(rel, NoLock);
	sync_insert(rule);
	expand_done(migration, rule->relation,
				psprintf("read-through of %s", quoting_relation(rule->relation)));
}

/* Contract could do only what one of the two calls says. */
static void
check_no_other_operation(const SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_table(rule->migration_id, rule->relation))
	{
		const SyncRule *other = lfirst(lc);

		if (texts_share_one(other->old_columns, rule->old_columns) &&
			(rule_drops_column(other) || rule_changes_column(other) ||
			 (other->new_name && !rule->keep_old)))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("migration \"%s\" has another operation on column \"%s\" of table \"%s\"",
							rule->migration, (char *) linitial(other->old_columns),
							quoting_shown_name(rule->relation)),
					 errdetail("It %s it.", rule_drops_column(other) ? "drops" :
							   rule_changes_column(other) ? "changes" : "renames"),
					 errhint("Say what becomes of the column in one call. To take the other call back, run CALL tandem.abort(%s); and the script without it.",
							 quote_literal_cstr(rule->migration))));
	}
}

static void
add_sync(Migration *migration, SyncRule *rule)
{
	ReleaseNames names = release_names_before(rule->release, rule->relation);

	check_expression_count(rule);
	rule->old_columns = release_names_stored_list(&names, rule->old_columns);
	if (repeat_rule(migration, rule))
		return;
	migration_check(migration, ACTION_EXPAND);
	target_check_table(rule->relation);
	check_no_other_operation(rule);
	if (rule->stored)
		expand_add_sync(migration, rule);
	else
		add_unstored_sync(migration, rule);
}

static SyncRule *
rule_from_arguments(FunctionCallInfo fcinfo, Migration *migration)
{
	SyncRule   *rule = palloc0(sizeof(SyncRule));

	rule->migration_id = migration->id;
	rule->migration = migration->name;
	rule->release = migration->release;
	rule->relation = argument_relation(fcinfo, 1);
	rule->on_conflict = on_conflict_from_name(argument_text(fcinfo, 6, "on_conflict"));
	rule->quarantine = quarantine_from_name(argument_text(fcinfo, 7, "on_error"));
	rule->keep_old = argument_bool(fcinfo, 8, "keep_old");
	rule->stored = argument_bool(fcinfo, 9, "stored");
	rule->search_path = pstrdup(namespace_search_path);
	return rule;
}

static Datum
tandem_sync_column_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	SyncRule   *rule = rule_from_arguments(fcinfo, migration);
	char	   *down = argument_optional_text(fcinfo, 5);

	rule->old_columns = list_make1(argument_name(fcinfo, 2, "old"));
	rule->new_columns = list_make1(argument_name(fcinfo, 3, "new"));
	rule->up = list_make1(argument_text(fcinfo, 4, "up"));
	rule->down = down ? list_make1(down) : NIL;
	add_sync(migration, rule);
	PG_RETURN_VOID();
}

static Datum
tandem_sync_columns_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	SyncRule   *rule = rule_from_arguments(fcinfo, migration);

	rule->old_columns = argument_strings(fcinfo, 2);
	rule->new_columns = argument_strings(fcinfo, 3);
	rule->up = argument_strings(fcinfo, 4);
	rule->down = argument_strings(fcinfo, 5);
	add_sync(migration, rule);
	PG_RETURN_VOID();
}
