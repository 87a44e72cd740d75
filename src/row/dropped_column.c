/*
 * dropped_column.c
 *		Columns that contract drops: when a row has there what down says.
 */
#include "postgres.h"

#include "row/dropped_column.h"

/*
 * A writer of the new release does not know the column, so its default means
 * nothing; anybody else gets that, if there is one.
 */
bool
dropped_column_is_left(const RowState *state, const CompiledRule *rule)
{
	const RuleColumn *column;

	if (rule_has_new_side(rule->source) || rule->old_side.expressions == NULL)
		return false;
	column = &state->rules->columns[rule->old_side.columns[0]];
	return state->rules->own[rule - state->rules->rules] == OWN_NEW ||
		column->default_kind == DEFAULT_NULL;
}

bool
dropped_column_waits(const RowState *state, const CompiledRule *rule)
{
	const RelationRules *rules = state->rules;

	for (int i = 0; i < rules->nrules; i++)
	{
		if (state->outcomes[i] == RULE_PENDING &&
			rule_has_new_side(rules->rules[i].source) &&
			rule_side_reads(&rule->old_side, &rules->rules[i].new_side))
			return true;
	}
	return false;
}

bool
dropped_column_reads_unfilled(const RowState *state, const CompiledRule *rule)
{
	const RelationRules *rules = state->rules;

	for (int i = 0; !rule_has_new_side(rule->source) && i < rules->nrules; i++)
	{
		if (rule_has_new_side(rules->rules[i].source) &&
			rule_side_reads(&rule->old_side, &rules->rules[i].new_side) &&
			row_is_unfilled(state, &rules->rules[i]))
			return true;
	}
	return false;
}
