/*
 * index_tree.h
 *		Building an index on a partitioned table and all that is below it.
 */
#ifndef TANDEM_INDEX_TREE_H
#define TANDEM_INDEX_TREE_H

#include "ddl/build.h"
#include "ddl/index_found.h"

/*
 * The next piece of the index of a partitioned table, which was found so.
 * Errors: something else has the name, here or on a partition; strong locks as
 * in lock_relations.
 */
extern BuildResult index_tree_next(const Step *step, const FoundIndex *root,
								   BuildPiece *piece);

#endif							/* TANDEM_INDEX_TREE_H */
