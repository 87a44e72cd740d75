/*
 * repeat.c
 *		A script run once more: what of it the migration has already.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/repeat.h"
#include "catalog/migration_lock.h"
#include "catalog/owned_column.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/same_sql.h"

static const char *
or_none(const char *text)
{
	return text ? text : "none";
}

/* what: of the object, in words */
static void
refuse(const Migration *migration, const char *object, const char *what,
	   const char *recorded, const char *given)
{
	bool		over = migration->phase == PHASE_DONE;

	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" has %s already, with another %s",
					migration->name, object, what),
			 errdetail("Recorded: %s. Given: %s.", or_none(recorded),
					   or_none(given)),
			 over ? errhint("The migration is done. For another change, run SELECT tandem.create_migration('another name');")
			 : errhint("Run the script as it was, or run CALL tandem.abort(%s) and then the new script.",
					   quote_literal_cstr(migration->name))));
}

/* Nothing is changed, so nobody need wait for our transaction. */
static void
skip(const Migration *migration, const char *object)
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
						 or_none(lfirst(lc)));
	return text.data;
}

static bool
shares_column(List *a, List *b)
{
	ListCell   *mine;
	ListCell   *theirs;

	foreach(mine, a)
	{
		foreach(theirs, b)
		{
			if (strcmp(lfirst(mine), lfirst(theirs)) == 0)
				return true;
		}
	}
	return false;
}

/* given is as recorded: by the user, or as it stands in tandem.syncs */
static bool
same_expression(const char *recorded, const char *canonical, const char *given)
{
	if (recorded == NULL || given == NULL)
		return recorded == given;
	return same_sql(RAW_PARSE_PLPGSQL_EXPR, recorded, given) ||
		same_sql(RAW_PARSE_PLPGSQL_EXPR, canonical, given);
}

static bool
same_side(List *recorded, List *canonical, List *given)
{
	if (list_length(recorded) != list_length(given))
		return false;
	for (int i = 0; i < list_length(given); i++)
	{
		if (!same_expression(list_nth(recorded, i), list_nth(canonical, i),
							 list_nth(given, i)))
			return false;
	}
	return true;
}

static void
check_same_rule(const Migration *migration, const char *object,
				const SyncRule *recorded, const SyncRule *given)
{
	if (!same_strings(recorded->old_columns, given->old_columns))
		refuse(migration, object, "list of old columns",
			   list_as_text(recorded->old_columns),
			   list_as_text(given->old_columns));
	if (!same_strings(recorded->new_columns, given->new_columns))
		refuse(migration, object, "list of new columns",
			   list_as_text(recorded->new_columns),
			   list_as_text(given->new_columns));
	if (!same_side(recorded->up_given, recorded->up, given->up))
		refuse(migration, object, "up", list_as_text(recorded->up_given),
			   list_as_text(given->up));
	if (!same_side(recorded->down_given, recorded->down, given->down))
		refuse(migration, object, "down", list_as_text(recorded->down_given),
			   list_as_text(given->down));
	if (recorded->on_conflict != given->on_conflict)
		refuse(migration, object, "on_conflict",
			   on_conflict_name(recorded->on_conflict),
			   on_conflict_name(given->on_conflict));
	if (recorded->quarantine != given->quarantine)
		refuse(migration, object, "on_error",
			   recorded->quarantine ? "quarantine" : "error",
			   given->quarantine ? "quarantine" : "error");
	if (recorded->keep_old != given->keep_old)
		refuse(migration, object, "keep_old",
			   recorded->keep_old ? "true" : "false",
			   given->keep_old ? "true" : "false");
	if (recorded->stored != given->stored)
		refuse(migration, object, "stored",
			   recorded->stored ? "true" : "false",
			   given->stored ? "true" : "false");
}

/* Nothing is left to compare with; it has ended well. */
static bool
skip_forgotten(const Migration *migration, Oid relid)
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

bool
repeat_sync(const Migration *migration, const SyncRule *rule)
{
	ListCell   *lc;

	if (skip_forgotten(migration, rule->relation))
		return true;
	foreach(lc, sync_list_recorded(migration->id))
	{
		SyncRule   *other = lfirst(lc);
		char	   *object;

		if (other->relation != rule->relation ||
			!shares_column(other->new_columns, rule->new_columns))
			continue;
		object = psprintf("a sync of %s to %s",
						  quoting_relation(rule->relation),
						  list_as_text(other->new_columns));
		check_same_rule(migration, object, other, rule);
		skip(migration, object);
		return true;
	}
	return false;
}

bool
repeat_column(const Migration *migration, Oid relid, const char *column,
			  const char *type)
{
	char	   *recorded = owned_column_type(migration->id, relid, column);
	char	   *object;

	if (skip_forgotten(migration, relid))
		return true;
	if (recorded == NULL)
		return false;
	/* somebody has dropped it: while that may be, it is added again */
	if (migration->phase == PHASE_EXPAND &&
		get_attnum(relid, column) == InvalidAttrNumber)
		return false;
	object = psprintf("column %s of %s", quote_identifier(column),
					  quoting_relation(relid));
	if (strcmp(recorded, type) != 0)
		refuse(migration, object, "type", recorded, type);
	skip(migration, object);
	return true;
}

/* A definition is a statement, or what stands after ADD CONSTRAINT name. */
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

	if (skip_forgotten(migration, step->relation))
		return true;
	foreach(lc, step_list(migration->id, step->kind))
	{
		Step	   *other = lfirst(lc);
		bool		same;

		if (other->relation != step->relation ||
			(step->object && strcmp(other->object, step->object) != 0))
			continue;
		same = same_definition(other, step);
		if (same)
		{
			skip(migration, describe_step(other));
			return true;
		}
		if (step->object && migration->phase != PHASE_EXPAND)
			refuse(migration, describe_step(other), "definition",
				   other->given, step->given);
	}
	return false;
}
