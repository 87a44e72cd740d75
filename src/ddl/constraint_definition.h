/*
 * constraint_definition.h
 *		Constraints of the user: read, checked, and kept in a form that
 *		stands alone.
 */
#ifndef TANDEM_CONSTRAINT_DEFINITION_H
#define TANDEM_CONSTRAINT_DEFINITION_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * Reads what stands after ADD CONSTRAINT name: one CHECK, FOREIGN KEY, UNIQUE
 * or PRIMARY KEY.  NOT VALID is passed over.  Errors: anything else, and what
 * cannot be added without blocking.
 */
extern Constraint *constraint_parse(const char *name, const char *definition);

/* The same of what the catalogs keep, whatever the session's settings. */
extern Constraint *constraint_read(const char *name, const char *definition);

/* Whether it is UNIQUE or PRIMARY KEY, which are built from an index. */
extern bool constraint_is_key(const Constraint *constraint);

/* Errors when relid or a partition of it has a constraint of that name. */
extern void constraint_check_name(Oid relid, const char *name);

/*
 * Checks a CHECK or FOREIGN KEY, all of it, as the server would, by adding it
 * NOT VALID and taking that back; returns it as pg_get_constraintdef has it.
 * The locks for that are short.
 */
extern char *constraint_check(Oid relid, Constraint *constraint,
							  const char *definition);

/* The table that a foreign key refers to and its partitions; NIL: none. */
extern List *constraint_referenced_tables(const Constraint *constraint);

/* The lock that adding a CHECK or FOREIGN KEY takes on each table. */
extern LOCKMODE constraint_lock_mode(const Constraint *constraint);

#endif							/* TANDEM_CONSTRAINT_DEFINITION_H */
