/*
 * index_build.h
 *		Builds the index of a step, on a table or a partition tree.
 */
#ifndef TANDEM_INDEX_BUILD_H
#define TANDEM_INDEX_BUILD_H

#include "catalog/step.h"
#include "ddl/build_piece.h"
#include "ddl/index_definition.h"

/*
 * What is left to do for a partition tree, as of when it was examined last.  Each
 * partition is looked at again before anything is done to it.
 */
typedef struct IndexPlan
{
	MemoryContext context;		/* of the lists */
	List	   *leaves;			/* OIDs of partitions without the index */
	List	   *pairs;			/* of IndexPair *: to be attached */
	int			built;			/* partitions that had it, or have got it
								 * since */
	int			total;			/* number of partitions with rows */
} IndexPlan;

/* Begins with an empty plan; what will be in it is in the current context. */
extern void index_plan_init(IndexPlan *plan);

/*
 * Does or returns the next piece of the step's index.  Call as the table's
 * owner, in a transaction of its own, with the same plan for all pieces.
 * Errors: a different index of that name exists; strong locks as for
 * lock_relations.
 */
extern BuildResult index_build_next(const Step *step, IndexPlan *plan,
									BuildPiece *piece);

/*
 * Drops what the step has built, on partitions too, and invalid indexes of its
 * name.  The caller has locked the tables in ACCESS EXCLUSIVE mode.
 */
extern void index_build_undo(const Step *step);

/*
 * Throws an error if the index, or one attached to it, is a replica identity
 * now.
 */
extern void index_check_undo(Oid index);

#endif							/* TANDEM_INDEX_BUILD_H */
