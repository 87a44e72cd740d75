/*
 * sequence_type.h
 *		The sequence of a changed column gets the type of the new one.
 */
#ifndef TANDEM_SEQUENCE_TYPE_H
#define TANDEM_SEQUENCE_TYPE_H

#include "nodes/pg_list.h"

/* Returns the sequences of changed columns of a migration that would end too early, as OIDs. */
extern List *sequence_type_smaller(int migration_id);

/* Is it still one of these? */
extern bool sequence_type_is_smaller(int migration_id, Oid sequence);

/*
 * Gives it the type, with the bounds that it has, and records which it had.  Nobody gets a number until the end of the
 * transaction, which does nothing else.  Errors: those of lock_relations.
 */
extern void sequence_type_widen(int migration_id, Oid sequence);

/* At contract: the bounds of those types become those of the new ones. */
extern void sequence_type_end(int migration_id);

/*
 * At abort: gives the sequences the type back that they had; one that has gone beyond it
 * stays as it is, with a WARNING.
 */
extern void sequence_type_take_back(int migration_id);

#endif							/* TANDEM_SEQUENCE_TYPE_H */
