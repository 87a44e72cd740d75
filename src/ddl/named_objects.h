/*
 * named_objects.h
 *		Which objects a DDL statement is about.
 */
#ifndef TANDEM_NAMED_OBJECTS_H
#define TANDEM_NAMED_OBJECTS_H

#include "nodes/pg_list.h"

/*
 * Returns whether a DDL statement makes, changes, renames or drops an object of this name:
 * a relation, column, constraint, index, trigger, policy, rule, routine, type, publication
 * or statistics object, in whatever schema or table.  What it merely uses, grants or
 * comments on does not count, nor a word of it.  With tables, the names that a table may
 * have, what belongs to a table counts only if it is of that one.  Errors: 42601.
 */
extern bool statement_is_about(const char *statement, const char *name, List *tables);

/* The same of a statement that drops it. */
extern bool statement_drops(const char *statement, const char *name, List *tables);

#endif							/* TANDEM_NAMED_OBJECTS_H */
