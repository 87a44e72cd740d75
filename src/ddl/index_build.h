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
 * Does or returns the next piece of the step's index.  Call as the table's
 * owner, in a transaction of its own.  Errors: a different index of that name
 * exists; strong locks as for lock_relations.
 */
extern BuildResult index_build_next(const Step *step, BuildPiece *piece);

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
