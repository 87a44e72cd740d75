/*
 * add_build.h
 *		Schedules indexes and constraints that migrate is to build.
 */
#ifndef TANDEM_ADD_BUILD_H
#define TANDEM_ADD_BUILD_H

#include "nodes/parsenodes.h"

#include "catalog/migration.h"
#include "rule/release_names.h"

/*
 * Adds an index to the migration, which can be expanded, of the table of names: these
 * are the names that columns have in it.  text is what the user gave.  Errors: those
 * of index_definition_check; the name is taken.
 */
extern void add_build_index(Migration *migration, const ReleaseNames *names,
							IndexStmt *stmt, char *text);

/*
 * Does the same for a constraint: definition is what follows ADD CONSTRAINT name.
 * Errors: those of constraint_parse and constraint_check or key_check; the name is
 * taken.
 */
extern void add_build_constraint(Migration *migration, const ReleaseNames *names,
								 char *name, char *definition);

#endif							/* TANDEM_ADD_BUILD_H */
