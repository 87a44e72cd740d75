/*
 * target.h
 *		Checks which tables and columns can be synced.
 */
#ifndef TANDEM_TARGET_H
#define TANDEM_TARGET_H

#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Throws an error, with a hint, unless relid is a permanent ordinary or
 * partitioned user table, owned by the current user, not a partition itself,
 * not part of plain inheritance, and without foreign partitions.
 */
extern void target_check_table(Oid relid);

/*
 * Locks relids, as lock_relations does, in order to work on relid, which is
 * one of them.  Then does the same check again, and checks that each still
 * exists.
 */
extern void target_lock(Oid relid, List *relids, LOCKMODE mode);

/*
 * Throws an error if contract and abort would lock more objects of the rule's
 * partition tree in one transaction than the server has locks for.
 */
extern void target_check_locks(const SyncRule *rule);

/* The same of a table, for which they lock so many objects. */
extern void target_check_locks_of_tree(Oid relid, int64 needed);

/*
 * Throws an error unless the columns of the rule can be synced: they exist,
 * none occurs twice, those to be written are neither generated nor identity
 * columns, none is the new column of another active sync, and none of those
 * that contract drops is in a partition key.  Unfilled rows must be recognizable
 * (see fill_mark.h), by their length in the leaf tables exact.
 */
extern void target_check_columns(const SyncRule *rule, Relation rel,
								 List *exact);

/*
 * For a rule whose up is volatile, which agrees with any value.  Rows that are
 * older than a new column hold the default with which it was added, and after a
 * rewrite nothing else tells that they are not filled.  Throws an error if it
 * has another default now.
 */
extern void target_check_default_is_held(const SyncRule *rule);

/*
 * Call after an ALTER TABLE of relid.  Throws an error if it has given another
 * default to a new column of which rows may be unfilled.
 */
extern void target_check_new_defaults(Oid relid,
									  const AlterTableStmt *statement);

/*
 * The same for a rule that is not stored: the old columns must exist and stay,
 * and the new ones must not exist.
 */
extern void target_check_unstored(const SyncRule *rule, Relation rel);

/*
 * Throws an error if changes that arrive by a subscription would be lost
 * (subscription_check_key), and if the fill would fail because the server
 * refuses UPDATEs that it could not publish.  Warns if subscribers might lose
 * published changes.
 * The table and its partitions are locked.
 */
extern void replicated_table_check(Oid relid);

/*
 * Checks the BEFORE triggers of the tree of relid.  Errors: one would fire
 * outside the triggers of the sync.  Gives a WARNING for each that fires for
 * some columns only, among them one side of the rule: a writer of the other
 * side does not fire it.
 */
extern void target_check_triggers(const SyncRule *rule, Oid relid);

#endif							/* TANDEM_TARGET_H */
