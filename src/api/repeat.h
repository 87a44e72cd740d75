/*
 * repeat.h
 *		A script run once more: what of it the migration has already.
 *
 * Each looks at what was recorded when it was asked for first, not at the
 * tables, so that it answers in every phase.  True: the very same is recorded,
 * and a NOTICE says
 * so; the lock for change is given back.  Errors: the same is recorded with other arguments.
 */
#ifndef TANDEM_REPEAT_H
#define TANDEM_REPEAT_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/* A sync; rule has up and down as the user gave them. */
extern bool repeat_sync(const Migration *migration, const SyncRule *rule);

/* A column of that type, as format_type has it with its schema. */
extern bool repeat_column(const Migration *migration, Oid relid,
						  const char *column, const char *type);

/*
 * An index, a constraint or a NOT NULL; step has kind, relation, object (NULL:
 * an index without a name) and given.  In phase expand no error: there the
 * server's own form of both can tell whether they are the same.
 */
extern bool repeat_step(const Migration *migration, const Step *step);

#endif							/* TANDEM_REPEAT_H */
