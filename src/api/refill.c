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
#include "catalog/step.h"
#include "catalog/sync.h"
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
 * left out.
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
		rule_uses_changed(rule->down_uses,
						  rule_uses(rel, list_make1(unconstify(SyncRule *, rule)), true)))
		refuse_changed_down(migration, rule);
	table_close(rel, AccessShareLock);
}

/* Returns the tables whose rows can be computed again. */
static List *
tables_to_refill(const Migration *migration)
{
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *leaves = NIL;
	bool		derived = rules != NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		derived = derived && rule_is_derived(rule);
		if (rule_is_derived(rule) || !relation_exists(rule->relation))
			continue;
		check_down_is_unchanged(migration, rule);
		leaves = list_concat_unique_oid(leaves, table_leaves(rule->relation));
	}
	if (derived)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has only derived columns",
						migration->name),
				 errdetail("Nothing tells which of their values a writer has given."),
				 errhint("Update the rows that are to have another value.")));
	return leaves;
}

Datum
tandem_refill(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));

	migration_check(migration, ACTION_REFILL);
	migration_lock_runner(migration, false);
	step_refill(migration->id, tables_to_refill(migration));
	migration_act(migration, ACTION_REFILL, NULL, 0);
	ereport(NOTICE,
			(errmsg("the next run of migration \"%s\" computes again the rows on which neither up nor down agrees",
					migration->name),
			 errhint("Run CALL tandem.migrate(%s);",
					 quote_literal_cstr(migration->name))));
	PG_RETURN_VOID();
}
