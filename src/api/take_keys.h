/*
 * take_keys.h
 *		Replicated tables get the new keys as their replica identity before contract.
 */
#ifndef TANDEM_TAKE_KEYS_H
#define TANDEM_TAKE_KEYS_H

#include "catalog/migration.h"

/*
 * Throws an error if contract of the migration would end the replication between
 * regions, since the replica identity of a table is still to be moved, here or in another
 * one.  force: does not ask.
 */
extern void keys_check_taken(const Migration *migration, bool force);

/* Throws an error if abort would, or would leave a table without its primary key. */
extern void keys_check_not_taken(const Migration *migration);

#endif							/* TANDEM_TAKE_KEYS_H */
