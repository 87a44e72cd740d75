/*
 * moved_identity.h
 *		An identity column that is changed: its sequence goes on with the new column.
 */
#ifndef TANDEM_MOVED_IDENTITY_H
#define TANDEM_MOVED_IDENTITY_H

#include "catalog/migration.h"

/*
 * At contract, before the columns go: the new one is an identity column of the same kind,
 * with the same sequence; or, if its type or default does not allow that, it keeps its
 * default, and owns the sequence.  The tables are locked.
 */
extern void moved_identities(const Migration *migration);

#endif							/* TANDEM_MOVED_IDENTITY_H */
