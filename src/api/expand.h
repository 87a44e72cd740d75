/*
 * expand.h
 *		Phase expand: adds columns and syncs, or finds that they exist.
 */
#ifndef TANDEM_EXPAND_H
#define TANDEM_EXPAND_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/*
 * Does the migration already have this index, constraint or NOT NULL?  step
 * has kind, relation, object (NULL for an index without a name) and given.
 * Errors: it has one that differs, except in phase expand, where the caller
 * goes on to compare the server's own form of both.
 */
extern bool repeat_step(const Migration *migration, const Step *step);

#endif							/* TANDEM_EXPAND_H */
