/*
 * open_work.c
 *		What of a migration is not done, or not proved, yet.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/after_switch.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/relation.h"
#include "core/text.h"
#include "ending/built.h"
#include "ending/open_work.h"
#include "row/quarantine.h"
#include "rule/rule_uses.h"
#include "rule/sync_trigger.h"
#include "trigger/install.h"

/*
 * Returns why the verify of a leaf table is no proof; uses is what the rules use
 * now.  Sets *passable if force may pass over that, since it is about rows that disagree or fail, and not about
 * rows that were never filled.
 */
static char *
verify_is_no_proof(const Step *verify, Oid relid, const char *uses,
				   bool *passable)
{
	char	   *version = sync_trigger_version(relid);
	char	   *table = quoting_relation(relid);

	*passable = false;
	if (verify == NULL ||
		(!verify->done && verify->rows_unfilled + verify->rows_mismatched == 0))
		return psprintf("table %s is not verified", table);
	if (!verify->done)
	{
		*passable = verify->rows_unfilled == 0;
		return psprintf("verify of table %s found " INT64_FORMAT " rows unfilled and " INT64_FORMAT " mismatched",
						table, verify->rows_unfilled, verify->rows_mismatched);
	}
	if (version == NULL || verify->trigger_version == NULL ||
		strcmp(verify->trigger_version, version) != 0)
		return psprintf("the trigger of table %s was changed since verify", table);
	*passable = true;
	if (rule_uses_changed(verify->uses, uses))
		return psprintf("a function or type that the sync of table %s uses was changed since verify",
						table);
	if (verify->rows_quarantined > 0)
		return psprintf("verify of table %s found " INT64_FORMAT " %s whose transform fails",
						table, verify->rows_quarantined,
						verify->rows_quarantined == 1 ? "row" : "rows");
	return NULL;
}

/* Adds what is left to be done or verified on one leaf table. */
static List *
reasons_not_verified(List *reasons, List *fills, List *verifies, Oid relid,
					 const char *uses, bool force)
{
	Step	   *fill = step_find(fills, relid);
	bool		passable;
	char	   *problem = verify_is_no_proof(step_find(verifies, relid), relid,
											 uses, &passable);

	if (fill == NULL || !fill->done)
		reasons = lappend(reasons, psprintf("table %s is not filled",
											quoting_relation(relid)));
	if (problem && !(force && passable))
		reasons = lappend(reasons, problem);
	return reasons;
}

/*
 * Adds indexes, constraints and NOT NULLs that are not there, whatever their
 * steps say: somebody may have dropped or changed them since.
 */
static List *
reasons_not_built(List *reasons, int migration_id)
{
	for (StepKind kind = STEP_INDEX; kind <= STEP_CONSTRAINT; kind++)
	{
		ListCell   *lc;

		foreach(lc, step_list(migration_id, kind))
		{
			Step	   *step = lfirst(lc);
			char	   *problem;

			if (!relation_exists(step->relation))
				continue;
			problem = step->done ? step_problem(step) : "is not done";
			if (problem == NULL)
				continue;
			reasons = lappend(reasons,
							  psprintf("%s %s of table %s %s",
									   step_kind_name(kind),
									   quote_identifier(step->object),
									   quoting_relation(step->relation),
									   problem));
		}
	}
	return reasons;
}

/* Adds what is to be changed after the switch, and has not been in all regions. */
static List *
reasons_rows_are_left(List *reasons, const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, after_switch_list(migration->id))
	{
		AfterSwitch *change = lfirst(lc);

		if (change->complete || !relation_exists(change->relation))
			continue;
		reasons = lappend(reasons,
						  psprintf("rows of table %s are to be changed after the switch%s%s",
								   quoting_relation(change->relation),
								   !change->switched ? ", which has not been made"
								   : change->waits_for != NIL ? ", which has not been made in region "
								   : "",
								   change->switched ? text_joined(change->waits_for, "", ", ") : ""));
	}
	return reasons;
}

List *
open_work(const Migration *migration, List *rules, bool force, bool *broken)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	List	   *verifies = step_list(migration->id, STEP_VERIFY);
	List	   *reasons = NIL;
	List	   *seen = NIL;
	int64		quarantined = quarantine_count(migration->id);
	ListCell   *lc;
	ListCell   *leaf;

	*broken = false;
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem;
		char	   *uses;
		bool		locked;

		if (!relation_exists(rule->relation))
			continue;			/* dropped: nothing to lose */
		problem = sync_rule_problem(rule, &locked);
		*broken |= problem != NULL;
		if (problem && !force)
			reasons = lappend(reasons,
							  psprintf("sync to %s: %s",
									   text_joined(sync_columns_shown(rule), "", ", "),
									   problem));
		problem = problem ? NULL : sync_trigger_problem(rule);
		if (problem)
			reasons = lappend(reasons, problem);
		if (!rule_has_new_side(rule) || list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		foreach(leaf, table_tree(rule->relation))
		{
			if (get_rel_relkind(lfirst_oid(leaf)) == RELKIND_FOREIGN_TABLE)
				reasons = lappend(reasons,
								  psprintf("partition %s is a foreign table: its rows cannot be filled from here",
										   quoting_relation(lfirst_oid(leaf))));
		}
		uses = rule_uses_of_table(rule->relation, migration->id);
		foreach(leaf, table_leaves(rule->relation))
			reasons = reasons_not_verified(reasons, fills, verifies,
										   lfirst_oid(leaf), uses, force);
	}
	reasons = reasons_not_built(reasons, migration->id);
	if (!force)
		reasons = reasons_rows_are_left(reasons, migration);
	if (quarantined > 0 && !force)
		reasons = lappend(reasons,
						  psprintf(quarantined == 1
								   ? INT64_FORMAT " row is in quarantine"
								   : INT64_FORMAT " rows are in quarantine",
								   quarantined));
	return reasons;
}

bool
open_work_waits_for_switch(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, after_switch_list(migration->id))
	{
		AfterSwitch *change = lfirst(lc);

		if (!change->switched || change->waits_for != NIL)
			return true;
	}
	return false;
}
