/*
 * install.h
 *		The trigger of a sync: installed, and checked to be in force.
 */
#ifndef TANDEM_INSTALL_H
#define TANDEM_INSTALL_H

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

/*
 * Makes the trigger of relid say what tandem.sync says of it: makes it,
 * replaces it, or drops it when no live rule is left.  Runs as the current
 * user, who owns the table, and who has it locked against writers.
 */
extern void sync_install(Oid relid);

/*
 * Errors when the table has a sync trigger with a rule that tandem.sync does
 * not know of it: a table restored alone brings its trigger along.  Its rules
 * would be gone with the next sync_install.
 */
extern void sync_check_found(Oid relid);

#endif							/* TANDEM_INSTALL_H */
