/*
 * losses.h
 *		What abort loses: values that only the new columns have.
 */
#ifndef TANDEM_LOSSES_H
#define TANDEM_LOSSES_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Returns a line for each kind of rows whose new columns have a value that the
 * old ones do not give back: their down has failed, the sync is one-way, a
 * derived column has a value of its own, or a column that no sync sets has
 * another one than its default, which is not looked at if it differs from row
 * to row.  With scan the tables of all but the first are read, as what is
 * committed now; without, only what is noted in quarantine is looked at.
 */
extern List *abort_losses(const Migration *migration, bool scan);

#endif							/* TANDEM_LOSSES_H */
