/*
 * own_values.h
 *		Derived columns whose values a former up may have given.
 */
#ifndef TANDEM_OWN_VALUES_H
#define TANDEM_OWN_VALUES_H

#include "catalog/migration.h"

/*
 * Records what up of each derived column uses, before the first row is filled.
 * rules are the syncs of the migration.
 */
extern void own_values_note_uses(List *rules);

/*
 * Warns of tables in which verify has counted rows with another value in a
 * derived column than up gives, if what up uses was changed since.
 */
extern void own_values_warn(const Migration *migration, List *rules);

#endif							/* TANDEM_OWN_VALUES_H */
