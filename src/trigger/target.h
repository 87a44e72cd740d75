/*
 * target.h
 *		Which tables and columns may be synced.
 */
#ifndef TANDEM_TARGET_H
#define TANDEM_TARGET_H

#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Errors, each with its hint, unless relid is a permanent ordinary or
 * partitioned table of the user's, owned by the current user, not itself a
 * partition nor a parent or child by plain inheritance, and without foreign
 * partitions.
 */
extern void target_check_table(Oid relid);

/*
 * Locks relations, as lock_relations does, in order to work on relid, which is
 * among them; then the same check again, and that each of them is still there.
 */
extern void target_lock(Oid relid, List *relids, LOCKMODE mode);

/*
 * Errors unless the columns of the rule may be synced: all there, none twice,
 * those that are written neither generated nor identity, none already the new
 * column of another live sync; and unless rows that are not filled can be told
 * from the others (fill_mark.h).  rule->origin is set already.
 */
extern void target_check_columns(const SyncRule *rule, Relation rel);

/*
 * The same for a rule that is not stored: the old columns are there, the new
 * ones are not.
 */
extern void target_check_unstored(const SyncRule *rule, Relation rel);

/*
 * Errors when changes that arrive by a subscription would be lost
 * (subscription_check_key).  Warns when the fill would fail, since an UPDATE
 * could not be sent, and when subscribers might lose changes that are sent.
 * The table and its partitions are locked.
 */
extern void replicated_table_check(Oid relid);

#endif							/* TANDEM_TARGET_H */
