/*
 * planned_builds.h
 *		What migrate is to build, and columns and tables that go: neither may be in
 *		the way of the other.
 */
#ifndef TANDEM_PLANNED_BUILDS_H
#define TANDEM_PLANNED_BUILDS_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/*
 * Checks a rule that the migration is to have.  Errors: the migration builds an
 * index, a constraint or a NOT NULL of a column that the rule takes from its release.
 */
extern void planned_builds_check_columns(const Migration *migration,
										 const SyncRule *rule);

/* Errors: the migration builds a foreign key that refers to the table. */
extern void planned_builds_check_table(const Migration *migration, Oid relid);

/* Returns another migration than that of rule that makes its old column NOT NULL, or NULL. */
extern char *planned_not_null(const SyncRule *rule);

/*
 * Errors: a release that an open migration expands does not have the column, and
 * nothing but NULL is stored there for it.
 */
extern void planned_not_null_check(const Step *step);

#endif							/* TANDEM_PLANNED_BUILDS_H */
