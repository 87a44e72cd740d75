/*
 * rule_order.c
 *		The order that the rules of a table run in.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "sync/relation_rules.h"
#include "sync/rule_order.h"

/* Whether rule reads a new column of other. */
static bool
reads(const SyncRule *rule, const SyncRule *other, Relation rel)
{
	ListCell   *lc;
	Bitmapset  *read = NULL;

	foreach(lc, rule->old_columns)
		read = bms_add_member(read, get_attnum(RelationGetRelid(rel),
											   lfirst(lc)) - FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < list_length(rule->up); i++)
	{
		AttrNumber	target = get_attnum(RelationGetRelid(rel),
										list_nth(rule->new_columns, i));

		if (target > 0)
			pull_varattnos(relation_rules_parse(list_nth(rule->up, i), rel, target,
												"up"), 1, &read);
	}
	foreach(lc, other->new_columns)
	{
		if (bms_is_member(get_attnum(RelationGetRelid(rel), lfirst(lc)) -
						  FirstLowInvalidHeapAttributeNumber, read))
			return true;
	}
	return false;
}

List *
rule_order_sort(List *rules, Relation rel)
{
	List	   *left = list_copy(rules);
	List	   *sorted = NIL;

	while (left != NIL)
	{
		SyncRule   *next = NULL;
		ListCell   *lc;

		foreach(lc, left)
		{
			SyncRule   *candidate = lfirst(lc);
			bool		ready = true;
			ListCell   *other;

			foreach(other, left)
			{
				if (lfirst(other) != candidate &&
					reads(candidate, lfirst(other), rel))
					ready = false;
			}
			if (ready)
			{
				next = candidate;
				break;
			}
		}
		if (next == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("syncs of table \"%s\" depend on each other in a circle",
							RelationGetRelationName(rel)),
					 errhint("Let the new column of each sync be read only by later ones; see SELECT * FROM tandem.syncs;")));
		sorted = lappend(sorted, next);
		left = list_delete_ptr(left, next);
	}
	return sorted;
}
