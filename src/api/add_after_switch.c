/*
 * add_after_switch.c
 *		Rows that are to be changed once the release is the current one.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/expand.h"
#include "catalog/after_switch.h"
#include "catalog/migration.h"
#include "catalog/region_row.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "rule/assignments.h"
#include "trigger/target.h"

OPERATION_FUNCTION(tandem_add_after_switch, at_once_call)

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Does the migration have it already? */
static bool
repeat_after_switch(const Migration *migration, const AfterSwitch *given)
{
	ListCell   *lc;

	if (repeat_skip_forgotten(migration, given->relation))
		return true;
	foreach(lc, after_switch_list(migration->id))
	{
		AfterSwitch *other = lfirst(lc);

		if (other->relation != given->relation ||
			!same_text(other->set_given, given->set_given) ||
			!same_text(other->condition_given, given->condition_given) ||
			!same_text(other->back_given, given->back_given))
			continue;
		repeat_skip(migration, psprintf("this change of %s after the switch",
										quoting_relation(given->relation)));
		return true;
	}
	return false;
}

static void
check_has_release(const Migration *migration)
{
	if (migration->release == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has no release, so there is no switch to it",
						migration->name),
				 errhint("Give it one: SELECT tandem.create_migration('another name', release => 42);")));
}

/* Both are of the same columns: what is changed is what is changed back. */
static List *
order_as_columns(const Assignments *back, List *columns)
{
	List	   *ordered = NIL;
	ListCell   *name;
	ListCell   *lc;
	bool		same = list_length(back->columns) == list_length(columns);

	foreach(name, columns)
	{
		ListCell   *text;

		forboth(lc, back->columns, text, back->expressions)
		{
			if (strcmp(lfirst(lc), lfirst(name)) == 0)
				ordered = lappend(ordered, lfirst(text));
		}
	}
	if (!same || list_length(ordered) != list_length(columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("back must set the columns that set does"),
				 errdetail("Columns of set: %s. Columns of back: %s.",
						   text_joined(columns, "", ", "),
						   text_joined(back->columns, "", ", ")),
				 errhint("A row is changed back if set, of what back makes of it, gives the row as it is.")));
	return ordered;
}

static void
read_texts(const Migration *migration, AfterSwitch *change)
{
	Relation	rel = relation_open_present(change->relation, AccessShareLock);
	const char *alias = RelationGetRelationName(rel);
	ReleaseNames names = release_names_after(migration->release, change->relation);
	Assignments *set = assignments_parse(change->set_given, rel, alias, "set", &names);

	change->columns = set->columns;
	change->set = set->expressions;
	change->condition = condition_parse(change->condition_given, rel, alias, &names);
	if (change->back_given)
		change->back = order_as_columns(assignments_parse(change->back_given, rel, alias, "back", &names),
										change->columns);
	change->search_path = pstrdup(namespace_search_path);
	table_close(rel, NoLock);
}

/*
 * In several regions each row is to be changed by one of them, or they change it at
 * once, and what arrives overwrites what somebody has written there meanwhile.
 */
static void
warn_of_every_region(const AfterSwitch *change)
{
	if (region_here() == NULL || strstr(change->condition, "tandem.region()"))
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("each region will change all rows of table \"%s\" that meet the condition",
					quoting_shown_name(change->relation)),
			 errdetail("Changes of one row in two regions are a conflict, of which one is lost."),
			 errhint("Have the condition choose the rows of one region, as in target_region = tandem.region().")));
}

static Datum
tandem_add_after_switch_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	AfterSwitch change = {
		.migration_id = migration->id,
		.relation = argument_relation(fcinfo, 1),
		.set_given = argument_text(fcinfo, 2, "set"),
		.condition_given = argument_text(fcinfo, 3, "condition"),
		.back_given = argument_optional_text(fcinfo, 4),
	};

	if (repeat_after_switch(migration, &change))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	check_has_release(migration);
	target_check_table(change.relation);
	target_lock(change.relation, list_make1_oid(change.relation), AccessShareLock);
	table_rows_check(table_leaves(change.relation));
	read_texts(migration, &change);
	warn_of_every_region(&change);
	after_switch_insert(&change);
	expand_done(migration, change.relation,
				psprintf("change of %s after the switch", quoting_relation(change.relation)));
	PG_RETURN_VOID();
}
