/*
 * index_definition.h
 *		CREATE INDEX read and rehearsed, and what has its name already.
 */
#ifndef TANDEM_INDEX_DEFINITION_H
#define TANDEM_INDEX_DEFINITION_H

#include "nodes/parsenodes.h"

#include "catalog/step.h"

/* An index that a migration is to build. */
typedef struct IndexDefinition
{
	Oid			relation;		/* ordinary or partitioned table */
	char	   *name;
	bool		is_unique;
	char	   *tail;			/* "USING ..." up to the end, every name
								 * qualified */
} IndexDefinition;

/*
 * Reads exactly one CREATE INDEX statement; CONCURRENTLY and IF NOT EXISTS are
 * passed over.  Errors: anything else.
 */
extern IndexStmt *index_definition_parse(const char *text);

/*
 * Checks stmt, all of it, as the server would, against its table, and returns
 * it in a form that does not depend on search_path.  Builds nothing and leaves
 * nothing: its lock on relid is short.  source is the text of stmt, for
 * messages.  An invalid index of that name on that table is passed over: it is
 * dropped before ours is built.
 */
extern IndexDefinition *index_definition_check(Oid relid, IndexStmt *stmt,
											   const char *source);

typedef enum FoundState
{
	FOUND_NOTHING,				/* the name is free */
	FOUND_VALID,				/* the very index */
	FOUND_INVALID,				/* what a build has left, or is at */
	FOUND_INCOMPLETE,			/* of a partitioned table: not yet on every
								 * partition */
	FOUND_OTHER					/* something else has the name */
} FoundState;

typedef struct FoundIndex
{
	FoundState	state;
	Oid			index;			/* InvalidOid: nothing */
	Oid			table;			/* that it is to be on */
	char	   *name;
} FoundIndex;

/*
 * Looks for the index of step on table, which is the step's or one of its
 * partitions, under name.  Sees what is committed now; locks nothing.
 */
extern FoundIndex index_find(const Step *step, Oid table, const char *name);

/*
 * Whether a constraint of the step's table has an index as the step makes it,
 * whatever its name.  Locks the table in ACCESS SHARE mode meanwhile.
 */
extern bool index_has_become_constraint(const Step *step);

/* The same as index_find of a partition, under one of the names that we give there. */
extern FoundIndex index_find_on_partition(const Step *step, Oid partition);

/*
 * Whether an index of that name on the partition hangs on the one of the
 * partitioned table, and the step has not made it: somebody had built it by
 * hand.
 */
extern bool index_is_adopted(const Step *step, Oid partition);

/* Errors: something else has the name. */
extern void index_refuse_other(const FoundIndex *found);

/* schema.name of what was found or is to be made */
extern char *index_qualified_name(const FoundIndex *found);

#endif							/* TANDEM_INDEX_DEFINITION_H */
