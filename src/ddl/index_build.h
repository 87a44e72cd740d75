/*
 * index_build.h
 *		Building the index of a step, on one table or on partitions.
 */
#ifndef TANDEM_INDEX_BUILD_H
#define TANDEM_INDEX_BUILD_H

#include "catalog/step.h"
#include "ddl/build_piece.h"
#include "ddl/index_definition.h"

/*
 * The next piece of the index of step: runs as the current user, who owns the
 * table, in a transaction of its own.  Errors: an index of that name is there
 * and is another one; strong locks as in lock_relations.
 */
extern BuildResult index_build_next(const Step *step, BuildPiece *piece);

/*
 * Drops whatever of the index is there, on partitions too, valid or not.  The
 * caller has the tables locked in ACCESS EXCLUSIVE mode.
 */
extern void index_build_undo(const Step *step);

/* Errors: the index, or one that hangs on it, has become a replica identity. */
extern void index_check_undo(Oid index);

#endif							/* TANDEM_INDEX_BUILD_H */
