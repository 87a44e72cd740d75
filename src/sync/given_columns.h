/*
 * given_columns.h
 *		Which columns the running INSERT or COPY names.
 */
#ifndef TANDEM_GIVEN_COLUMNS_H
#define TANDEM_GIVEN_COLUMNS_H

#include "nodes/bitmapset.h"
#include "utils/rel.h"

/*
 * The numbers of the columns of rel that the statement of the active portal
 * names as targets, whether it writes rel itself or a partitioned parent.
 * *known is false where that statement cannot be reached or does not write
 * rel: inside a function, or in the apply worker of a subscription.  statement
 * is the context of the statement that fires the trigger.
 */
extern Bitmapset *given_columns(Relation rel, MemoryContext statement,
								bool *known);

#endif							/* TANDEM_GIVEN_COLUMNS_H */
