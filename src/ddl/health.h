/*
 * health.h
 *		Whether the trigger of a sync is in force and says what it should.
 */
#ifndef TANDEM_HEALTH_H
#define TANDEM_HEALTH_H

#include "catalog/sync.h"

/*
 * What is wrong with the sync, for people, with the remedy; NULL: nothing, or
 * its table is locked so that it cannot be said now.  Looks at every
 * partition.
 */
extern char *sync_problem(const SyncRule *rule);

/*
 * The same of its expressions and columns alone: whether all that they name is
 * there, and the owner of the table may use it.  No code of a user is run.
 * *locked: its table is, so that nothing could be said.
 */
extern char *sync_rule_problem(const SyncRule *rule, bool *locked);

/* The same of its trigger alone. */
extern char *sync_trigger_problem(const SyncRule *rule);

/*
 * The same of the triggers of relid and the partitions below it, whatever they
 * hold.  The caller has relid locked.
 */
extern char *sync_tree_problem(Oid relid);

#endif							/* TANDEM_HEALTH_H */
