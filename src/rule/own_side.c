/*
 * own_side.c
 *		Which side of each rule a release means.
 */
#include "postgres.h"

#include "rule/own_side.h"

/*-------------------------------------------------------------------------
 * Which side of each rule a release means: the newest columns that it sees.
 *
 * A release sees the old columns of later rules and the new columns of its own
 * and earlier ones, but for those that are in turn the old columns of a rule
 * that it knows.  In a chain a, b, c the rules of a release in the middle mean
 * b; what that release writes to a or c never counts.
 *-------------------------------------------------------------------------
 */

static bool
release_sees_column(const RelationRules *rules, int release, int column)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		const CompiledRule *rule = &rules->rules[i];
		int			of_rule = rule->source->release;

		if (of_rule <= 0)
			continue;
		if (of_rule <= release
			? !rule->source->keep_old && rule_side_has_column(&rule->old_side, column)
			: rule_side_has_column(&rule->new_side, column))
			return false;
	}
	return true;
}

static bool
release_sees_side(const RelationRules *rules, int release,
				  const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (release_sees_column(rules, release, side->columns[i]))
			return true;
	}
	return side->ncolumns == 0; /* the old side of a derived column */
}

static OwnSide
own_side_of_release(const RelationRules *rules, int release,
					const CompiledRule *rule)
{
	bool		new = release >= rule->source->release;

	/* with keep_old the release that knows the new side uses both */
	if (release == 0 || rule->source->release == 0 ||
		(new && rule->source->keep_old) ||
		!release_sees_side(rules, release,
						   new ? &rule->new_side : &rule->old_side))
		return OWN_BOTH;
	return new ? OWN_NEW : OWN_OLD;
}

/* Returns whether any of the columns was not foreign yet. */
static bool
make_side_foreign(RelationRules *rules, const RuleSide *side)
{
	bool		changed = false;

	for (int i = 0; i < side->ncolumns; i++)
	{
		changed |= !rules->foreign[side->columns[i]];
		rules->foreign[side->columns[i]] = true;
	}
	return changed;
}

static bool
side_has_foreign_column(const RelationRules *rules, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (rules->foreign[side->columns[i]])
			return true;
	}
	return false;
}

/*
 * The columns of a rule that the release sees neither side of are foreign if
 * the rule belongs to a chain whose columns the release sees elsewhere.
 */
static void
settle_unseen_rules(RelationRules *rules)
{
	bool		changed;

	do
	{
		changed = false;
		for (int i = 0; i < rules->nrules; i++)
		{
			CompiledRule *rule = &rules->rules[i];

			if (rules->own[i] == OWN_BOTH && rule->source->release > 0 &&
				(side_has_foreign_column(rules, &rule->old_side) ||
				 side_has_foreign_column(rules, &rule->new_side)))
			{
				changed |= make_side_foreign(rules, &rule->old_side);
				changed |= make_side_foreign(rules, &rule->new_side);
			}
		}
	} while (changed);
}

void
relation_rules_settle(RelationRules *rules, int release)
{
	if (rules->release == release)
		return;
	memset(rules->foreign, 0, sizeof(bool) * rules->ncolumns);
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		rules->own[i] = own_side_of_release(rules, release, rule);
		if (rules->own[i] != OWN_BOTH)
			(void) make_side_foreign(rules, rules->own[i] == OWN_NEW
									 ? &rule->old_side : &rule->new_side);
	}
	settle_unseen_rules(rules);
	rules->release = release;
}
