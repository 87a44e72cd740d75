/*
 * spelled_out.h
 *		Rewrites comparisons whose operator the grammar does not let one name.
 */
#ifndef TANDEM_SPELLED_OUT_H
#define TANDEM_SPELLED_OUT_H

#include "nodes/nodes.h"

/*
 * Returns the parsed expression, copied, with CASE x WHEN, NULLIF, IS DISTINCT
 * FROM and row comparisons replaced by searched CASEs that compare with the
 * same operators and have the same result.  Deparsed, each operator is written
 * with its schema where it needs one.  Returns NULL if an argument that would
 * be evaluated twice is volatile, or if a comparison has no such form.
 */
extern Node *spelled_out(Node *expression);

#endif							/* TANDEM_SPELLED_OUT_H */
