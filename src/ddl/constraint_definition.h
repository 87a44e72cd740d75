/*
 * constraint_definition.h
 *		Parses and checks constraint definitions given by the user.
 */
#ifndef TANDEM_CONSTRAINT_DEFINITION_H
#define TANDEM_CONSTRAINT_DEFINITION_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * Parses the text that follows ADD CONSTRAINT name: one CHECK, FOREIGN KEY,
 * UNIQUE or PRIMARY KEY.  NOT VALID is ignored.  The result is in the current
 * memory context.  Errors: anything else, and constraints that cannot be added
 * without blocking.
 */
extern Constraint *constraint_parse(const char *name, const char *definition);

/*
 * Does the same for a definition from our tables, whatever the session's
 * settings.
 */
extern Constraint *constraint_read(const char *name, const char *definition);

/* Is it UNIQUE or PRIMARY KEY?  These are built from an index. */
extern bool constraint_is_key(const Constraint *constraint);

/*
 * Throws an error if relid or a partition of it has a constraint of that name.
 */
extern void constraint_check_name(Oid relid, const char *name);

/*
 * Checks a CHECK or FOREIGN KEY completely, as the server would, by adding it
 * NOT VALID in a subtransaction that is rolled back.  Holds its locks only
 * briefly.  Returns it as deparsed by pg_get_constraintdef, and in *calls the
 * functions that it calls (see Step), palloc'd.
 */
extern char *constraint_check(Oid relid, Constraint *constraint,
							  const char *definition, char **calls);

/*
 * Returns the table that a foreign key refers to, and its partitions; else
 * NIL.
 */
extern List *constraint_referenced_tables(const Constraint *constraint);

/*
 * Returns the lock mode that adding the CHECK or FOREIGN KEY needs on each
 * table.
 */
extern LOCKMODE constraint_lock_mode(const Constraint *constraint);

#endif							/* TANDEM_CONSTRAINT_DEFINITION_H */
