/*
 * built.h
 *		Is what a migration has built still there?
 */
#ifndef TANDEM_BUILT_H
#define TANDEM_BUILT_H

#include "catalog/step.h"

/*
 * Returns what is wrong with the index, the constraint or the NOT NULL of a
 * step, as the catalogs have it now, palloc'd; NULL if nothing is, or its table
 * was dropped.  Locks the table in ACCESS SHARE mode at most.
 */
extern char *step_problem(const Step *step);

/*
 * Has somebody put another index or constraint in the place of the one that the
 * step has built?  It is his, whatever its name.
 */
extern bool step_object_is_another(const Step *step);

/*
 * Has the user dropped or changed what stood on a changed column, of which the step's was
 * built?  Then contract wants what is there now in its place, not what the step says.
 */
extern bool step_is_overtaken(const Step *step);

#endif							/* TANDEM_BUILT_H */
