/*
 * index_definition.h
 *		Checks CREATE INDEX statements given by the user, and looks up
 *		existing indexes.
 */
#ifndef TANDEM_INDEX_DEFINITION_H
#define TANDEM_INDEX_DEFINITION_H

#include "nodes/parsenodes.h"

#include "catalog/step.h"

/* An index to be built by a migration. */
typedef struct IndexDefinition
{
	Oid			relation;		/* ordinary or partitioned table */
	char	   *name;
	bool		is_unique;
	char	   *tail;			/* text from "USING ..." to the end, all names
								 * qualified */
	char	   *calls;			/* see Step */
} IndexDefinition;

/*
 * Parses exactly one CREATE INDEX statement; CONCURRENTLY and IF NOT EXISTS
 * are ignored.  Errors: anything else.
 */
extern IndexStmt *index_definition_parse(const char *text);

/*
 * Checks stmt completely, as the server would, for its table, and returns it,
 * palloc'd, in a form that does not depend on search_path.  Builds nothing,
 * and holds its lock on relid only briefly.  source is the text of stmt, for
 * messages.  An invalid index of that name on the table is ignored, since it
 * will be dropped before this one is built.
 */
extern IndexDefinition *index_definition_check(Oid relid, IndexStmt *stmt,
											   const char *source);

typedef enum FoundState
{
	FOUND_NOTHING,				/* the name is free */
	FOUND_VALID,				/* it is that index */
	FOUND_INVALID,				/* left by a failed build, or being built */
	FOUND_INCOMPLETE,			/* of a partitioned table: not yet on every
								 * partition */
	FOUND_OTHER					/* another object has the name */
} FoundState;

typedef struct FoundIndex
{
	FoundState	state;
	Oid			index;			/* InvalidOid if there is none */
	Oid			table;			/* table to be indexed */
	char	   *name;
} FoundIndex;

/*
 * Looks for the step's index under name on table, which is the step's table or
 * a partition of it.  Sees what is committed now; takes no lock.
 */
extern FoundIndex index_find(const Step *step, Oid table, const char *name);

/*
 * Is the index of the step's name, which is valid, what the step says but for its options, as
 * after ALTER INDEX ... SET?
 */
extern bool index_has_other_options(const Step *step);

/*
 * Has a constraint of the step's table an index like the step's, under any
 * name?  Locks the table in ACCESS SHARE mode meanwhile.
 */
extern bool index_has_become_constraint(const Step *step);

/*
 * Does index_find on a partition, with the names that the index may have
 * there.
 */
extern FoundIndex index_find_on_partition(const Step *step, Oid partition);

/*
 * Is an index of that name on the partition attached to that of the
 * partitioned table although the step has not built it?  Then it was built by
 * hand.
 */
extern bool index_is_adopted(const Step *step, Oid partition);

/*
 * Throws an error if the text of the step's index would now call other functions
 * than when it was added.  relid is its table, or a partition of that.  Takes no
 * lock but ACCESS SHARE on it.
 */
extern void index_check_calls(const Step *step, Oid relid);

/* Throws an error: another object has the name. */
extern void index_refuse_other(const FoundIndex *found);

/* Returns schema.name of the index found or to be built, palloc'd. */
extern char *index_qualified_name(const FoundIndex *found);

#endif							/* TANDEM_INDEX_DEFINITION_H */
