/*
 * rule_order.h
 *		The order that the rules of a table run in.
 */
#ifndef TANDEM_RULE_ORDER_H
#define TANDEM_RULE_ORDER_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Sorts rules (of SyncRule) so that each comes after those whose new columns
 * it reads.  Errors: a circle.
 */
extern List *rule_order_sort(List *rules, Relation rel);

#endif							/* TANDEM_RULE_ORDER_H */
