/*
 * own_values.c
 *		Derived columns whose values a former up may have given.
 *
 * A derived column follows up for as long as it holds what up gives for the row
 * as it was.  Once a function of up was replaced, that is no longer so of the
 * rows that the former one has filled: they keep their values, as if release N
 * had given them, and do not follow.  Nothing tells the two apart, so the
 * operator must say.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "rule/rule_uses.h"
#include "run/own_values.h"

void
own_values_note_uses(List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_is_derived(rule) && rule->uses == NULL)
			sync_note_uses(rule, rule_uses_of_derived(rule, false,
													  KNOWN_USES_FOR_MS));
	}
}

/* Returns the number of such rows that verify has counted in the table. */
static int64
rows_own_of_table(const Migration *migration, Oid relid)
{
	int64		rows = 0;
	ListCell   *lc;

	foreach(lc, step_list_of_tables(migration->id, STEP_VERIFY,
									table_leaves(relid)))
		rows += ((Step *) lfirst(lc))->rows_own;
	return rows;
}

/* Returns the names of derived columns of the table whose up has changed. */
static List *
columns_of_changed_up(List *rules, Oid relid)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == relid && rule_is_derived(rule) &&
			rule_uses_of_derived_changed(rule))
			columns = lappend(columns, linitial(rule->new_columns));
	}
	return columns;
}

static void
warn_of_own_values(const Migration *migration, List *rules, Oid relid)
{
	int64		rows = rows_own_of_table(migration, relid);
	List	   *columns = rows > 0 ? columns_of_changed_up(rules, relid) : NIL;

	if (columns == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_plural("verify found " INT64_FORMAT " row of table \"%s\" with another value in a derived column than up gives now",
						   "verify found " INT64_FORMAT " rows of table \"%s\" with another value in a derived column than up gives now",
						   (unsigned long) rows, rows, quoting_shown_name(relid)),
			 errdetail("What up uses was changed since rows were filled. What the former up has given stays, and no longer follows the sources. Columns: %s.",
					   text_joined(columns, "", ", ")),
			 errhint("If the new release has given none of these values, run SELECT tandem.refill(%s, derived => %s); and CALL tandem.migrate(%s); to compute them again. Else UPDATE the rows that are to have another value.",
					 quote_literal_cstr(migration->name), array_literal(columns),
					 quote_literal_cstr(migration->name))));
}

void
own_values_warn(const Migration *migration, List *rules)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (!rule_is_derived(rule) || !relation_exists(rule->relation) ||
			list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		warn_of_own_values(migration, rules, rule->relation);
	}
}
