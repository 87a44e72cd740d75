/*
 * whole_row.h
 *		The whole row, in an expression of a rule.
 */
#ifndef TANDEM_WHOLE_ROW_H
#define TANDEM_WHOLE_ROW_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Returns the names of the columns that are null in the whole row that an
 * expression of the rule reads: for up (else down) the rule's own new columns;
 * for both those of the rules in the list that were made after it, but for its
 * own old columns.
 */
extern List *whole_row_unseen(const SyncRule *rule, List *rules, bool up);

/* Does a parsed expression over one row read the whole row? */
extern bool whole_row_is_read(Node *expression);

/*
 * Returns a parsed expression over one row of rel in which the whole row, which
 * has the type of a row of the topmost table, is spelled out: its columns found
 * by name in rel, those of the list unseen null.  The caller holds a lock on
 * rel, which keeps the columns of the topmost table as they are; that one need
 * not be locked.
 */
extern Node *whole_row_spell_out(Node *expression, Relation rel, List *unseen);

#endif							/* TANDEM_WHOLE_ROW_H */
