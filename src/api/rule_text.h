/*
 * rule_text.h
 *		The expressions of a rule as the user gives them: what they may read, and
 *		the text that is stored.
 */
#ifndef TANDEM_RULE_TEXT_H
#define TANDEM_RULE_TEXT_H

#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Leaves out the down of a rule whose columns exist if it is null for every row;
 * which a NOTICE says.
 */
extern void rule_text_drop_null_down(SyncRule *rule, Relation rel);

/*
 * Replaces up and down, as given, by the texts to store, with all names qualified and
 * columns by their names in the table.  Errors: up reads a new column of the rule, or
 * down the column that goes; a volatile up where rows would differ between servers;
 * those of expression_parse and meaning_stored_text.
 */
extern void rule_text_store(SyncRule *rule, Relation rel);

/* The same for a rule that only views show. */
extern void rule_text_store_unstored(SyncRule *rule, Relation rel);

#endif							/* TANDEM_RULE_TEXT_H */
