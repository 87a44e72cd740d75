/*
 * take_keys.h
 *		Replicated tables get the new keys as their replica identity before contract.
 */
#ifndef TANDEM_TAKE_KEYS_H
#define TANDEM_TAKE_KEYS_H

#include "catalog/migration.h"
#include "catalog/sync.h"

/*
 * Throws an error if contract of the migration would end the replication between
 * regions, since the replica identity of a table is still to be moved, here or in another
 * one.  force: does not ask.
 */
extern void keys_check_taken(const Migration *migration, bool force);

/*
 * Returns a line for each region for which keys_check_taken would, or NIL; *remedy: what
 * to call.
 */
extern List *keys_not_taken(const Migration *migration, char **remedy);

/* Warns if the rule's column is in an index that is a replica identity, which cannot move. */
extern void keys_warn_of_index(const SyncRule *rule);

/* Throws an error if abort would, or would leave a table without its primary key. */
extern void keys_check_not_taken(const Migration *migration);

#endif							/* TANDEM_TAKE_KEYS_H */
