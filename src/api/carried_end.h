/*
 * carried_end.h
 *		At contract what was built for a changed column takes the place of what goes.
 */
#ifndef TANDEM_CARRIED_END_H
#define TANDEM_CARRIED_END_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * At contract, before the columns go: twins that have had no default get that of the column.
 */
extern void carried_give_defaults(const Migration *migration);

/*
 * Returns, before the columns go, what is to be renamed once they are gone, which takes no
 * lock; carried_take_names does it then.
 */
extern List *carried_names_to_take(const Migration *migration);
extern void carried_take_names(const Migration *migration, List *names);

#endif							/* TANDEM_CARRIED_END_H */
