/*
 * moved_sequence.h
 *		The sequence of a column that is changed goes on with the new column.
 */
#ifndef TANDEM_MOVED_SEQUENCE_H
#define TANDEM_MOVED_SEQUENCE_H

#include "catalog/migration.h"

/*
 * At contract, before the columns go: the new one owns the sequence, which is the same.  In
 * the place of an identity column it is one of the same kind; if its type or default does
 * not allow that, it keeps its default.  The tables are locked.
 */
extern void moved_sequences(const Migration *migration);

#endif							/* TANDEM_MOVED_SEQUENCE_H */
