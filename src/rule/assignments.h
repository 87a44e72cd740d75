/*
 * assignments.h
 *		Assignments to columns, as after SET in an UPDATE.
 */
#ifndef TANDEM_ASSIGNMENTS_H
#define TANDEM_ASSIGNMENTS_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "rule/release_names.h"

/* Assignments that are stored: the columns, and an expression for each. */
typedef struct Assignments
{
	List	   *columns;		/* of char * */
	List	   *expressions;	/* of char *, qualified, for EXPRESSION_ALIAS */
} Assignments;

/*
 * Reads given, "a = 1, b = c", as the caller, and returns it as every session will
 * read it.  Columns are referred to bare or through alias, by these names.  label says in messages
 * which text it is.  Errors, each with a hint: syntax; a column that does not exist,
 * occurs twice, is generated, or is in a partition key; those of expression_parse and
 * meaning_stored_text.
 */
extern Assignments *assignments_parse(const char *given, Relation rel,
									  const char *alias, const char *label,
									  const ReleaseNames *names);

/* The same for the condition of a row. */
extern char *condition_parse(const char *given, Relation rel,
							 const char *alias,
							 const ReleaseNames *names);

#endif							/* TANDEM_ASSIGNMENTS_H */
