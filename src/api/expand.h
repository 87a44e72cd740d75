/*
 * expand.h
 *		Expand: columns and syncs are added, or found to be there.
 */
#ifndef TANDEM_EXPAND_H
#define TANDEM_EXPAND_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/*
 * An index, a constraint or a NOT NULL; step has kind, relation, object (NULL:
 * an index without a name) and given.  In phase expand no error: there the
 * server's own form of both can tell whether they are the same.
 */
extern bool repeat_step(const Migration *migration, const Step *step);

#endif							/* TANDEM_EXPAND_H */
