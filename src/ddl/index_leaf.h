/*
 * index_leaf.h
 *		Building an index on one ordinary table.
 */
#ifndef TANDEM_INDEX_LEAF_H
#define TANDEM_INDEX_LEAF_H

#include "ddl/build.h"
#include "ddl/index_found.h"

/*
 * The next piece of the index, which was found so.  progress is for people and
 * may be "".  BUILD_DONE: this table has it.  Errors: something else has the
 * name.
 */
extern BuildResult index_leaf_next(const Step *step, const FoundIndex *found,
								   const char *progress, BuildPiece *piece);

#endif							/* TANDEM_INDEX_LEAF_H */
