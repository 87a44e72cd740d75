/*
 * refill.c
 *		SQL function refill: rows that a former up has filled.
 */
#include "postgres.h"

#include "access/table.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/run_control.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "rule/rule_uses.h"

/*-------------------------------------------------------------------------
 * tandem.refill: has migrate compute rows again after a function was replaced.
 *
 * No row tells who gave it its new value.  But a value that the new release
 * gave agrees with down, by which the trigger has computed the old side, for as
 * long as down is the same.  So rows on which neither up nor down agrees were
 * filled by a former up.  Of a one-way sync all rows on which up does not agree
 * are taken for such.  A derived column may have a value of its own, so it is
 * left out unless the caller names it: then all values that differ go.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_refill);

static void
refuse_changed_down(const Migration *migration, const SyncRule *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot tell which rows of table \"%s\" a writer of the new release has given",
					quoting_shown_name(rule->relation)),
			 errdetail("A function or type that down of column \"%s\" uses was changed since expand, so down no longer agrees with these rows either.",
					   (char *) linitial(rule->old_columns)),
			 errhint("Run SELECT * FROM tandem.verify(%s); and update the rows that it shows.",
					 quote_literal_cstr(migration->name))));
}

static void
check_down_is_unchanged(const Migration *migration, const SyncRule *rule)
{
	Relation	rel = relation_open_present(rule->relation, AccessShareLock);

	if (rule->down != NIL &&
		rule_uses_changed(rule->uses,
						  rule_uses(rel, list_make1(unconstify(SyncRule *, rule)), true)))
		refuse_changed_down(migration, rule);
	table_close(rel, AccessShareLock);
}

static List *
derived_columns(List *rules)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_is_derived(rule))
			columns = list_concat(columns, list_copy(rule->new_columns));
	}
	return columns;
}

static bool
has_only_derived(List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		if (rule_has_new_side(lfirst(lc)) && !rule_is_derived(lfirst(lc)))
			return false;
	}
	return rules != NIL;
}

static void
check_derived_names(const Migration *migration, List *rules, List *names)
{
	List	   *columns = derived_columns(rules);
	ListCell   *lc;

	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("derived must not contain a null"),
					 errhint("Name the derived columns that are to be computed again, or leave out derived.")));
		if (!text_is_among(name, columns))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("migration \"%s\" has no derived column \"%s\"",
							migration->name, name),
					 columns == NIL ? errdetail("It has none.")
					 : errdetail("Its derived columns: %s.", text_joined(columns, "", ", "))));
	}
}

static void
refuse_derived_alone(const Migration *migration, List *columns)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" has only derived columns",
					migration->name),
			 errdetail("Nothing tells which of their values a writer has given."),
			 errhint("If the new release has given none, run SELECT tandem.refill(%s, derived => %s); to compute again all that differ from up. Else UPDATE the rows that are to have another value.",
					 quote_literal_cstr(migration->name), array_literal(columns))));
}

/* What is to be computed again. */
typedef struct Refill
{
	List	   *leaves;			/* tables */
	List	   *syncs;			/* ids of the syncs of derived columns */
} Refill;

/*
 * From now on rows of a derived column that is named have what up gives by what
 * it uses now.
 */
static void
add_rule_to_refill(const Migration *migration, const SyncRule *rule,
				   List *derived, Refill *refill)
{
	if (!relation_exists(rule->relation) || !rule_has_new_side(rule))
		return;
	if (!rule_is_derived(rule))
		check_down_is_unchanged(migration, rule);
	else if (text_is_among(linitial(rule->new_columns), derived))
	{
		refill->syncs = lappend_int(refill->syncs, rule->id);
		sync_note_uses(rule, rule_uses_of_derived(rule, true, 0));
	}
	else
		return;
	refill->leaves = list_concat_unique_oid(refill->leaves,
											table_leaves(rule->relation));
}

static Refill
find_what_to_refill(const Migration *migration, List *derived)
{
	List	   *rules = sync_list_of_migration(migration->id);
	Refill		refill = {0};
	ListCell   *lc;

	check_derived_names(migration, rules, derived);
	if (derived == NIL && has_only_derived(rules))
		refuse_derived_alone(migration, derived_columns(rules));
	foreach(lc, rules)
		add_rule_to_refill(migration, lfirst(lc), derived, &refill);
	return refill;
}

Datum
tandem_refill(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	List	   *derived = argument_strings(fcinfo, 1);
	Refill		refill;

	migration_check(migration, ACTION_REFILL);
	migration_lock_runner(migration, false);
	refill = find_what_to_refill(migration, derived);
	step_refill(migration->id, refill.leaves, refill.syncs);
	migration_act(migration, ACTION_REFILL, NULL, 0);
	ereport(NOTICE,
			(errmsg("the next run of migration \"%s\" computes again the rows on which neither up nor down agrees",
					migration->name),
			 derived == NIL ? 0
			 : errdetail("So it does all values of derived columns %s that differ from what up gives, whoever has given them.",
						 text_joined(derived, "", ", ")),
			 errhint("Run %s;", run_control_migrate_call(migration->name))));
	PG_RETURN_VOID();
}
