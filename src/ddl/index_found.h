/*
 * index_found.h
 *		What there is under the name of an index that is to be built.
 */
#ifndef TANDEM_INDEX_FOUND_H
#define TANDEM_INDEX_FOUND_H

#include "catalog/step.h"

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

#endif							/* TANDEM_INDEX_FOUND_H */
