/*
 * kept.h
 *		What the columns that keep_old leaves in a table hold after contract, when
 *		no sync writes them any more.
 */
#ifndef TANDEM_KEPT_H
#define TANDEM_KEPT_H

#include "utils/rel.h"

/*
 * Returns the default of the column, evaluated as far as it is constant, as the
 * table's owner; NULL if it has none.
 */
extern Node *kept_column_default(Relation rel, AttrNumber number);

#endif							/* TANDEM_KEPT_H */
