/*
 * install.h
 *		Installs the trigger of a sync, and checks that it is in force.
 */
#ifndef TANDEM_INSTALL_H
#define TANDEM_INSTALL_H

#include "catalog/sync.h"

/*
 * Returns what is wrong with the sync, with the remedy, as text, palloc'd.
 * Returns NULL if nothing is wrong, or if its table is locked so that this
 * cannot be determined.  Checks all partitions.
 */
extern char *sync_problem(const SyncRule *rule);

/*
 * Does the same for its expressions and columns only: they exist, and the
 * owner of the table may use them.  Runs no user-defined code.  *locked is set
 * if the table is locked, so that nothing could be determined.
 */
extern char *sync_rule_problem(const SyncRule *rule, bool *locked);

/* Does the same for its trigger only. */
extern char *sync_trigger_problem(const SyncRule *rule);

/*
 * Does the same for the triggers of relid and the partitions below it, with
 * any rules.  The caller has locked relid.
 */
extern char *sync_tree_problem(Oid relid);

/*
 * Makes the trigger of relid agree with tandem.sync: creates it, replaces it,
 * or drops it if no active rule is left.  Call as the owner of the table, with
 * the table locked against writers.
 */
extern void sync_install(Oid relid);

/*
 * If relid, which has a sync trigger, has BEFORE triggers of its own, puts on
 * it the trigger that fires before them.  The caller has locked relid against
 * writers.
 */
extern void sync_install_first(Oid relid);

/*
 * Throws an error if the table has a sync trigger with a rule that is not in
 * tandem.sync: restoring only the table creates its trigger, too.  The next
 * sync_install would remove its rules.
 */
extern void sync_check_found(Oid relid);

#endif							/* TANDEM_INSTALL_H */
