/*
 * after_switch.h
 *		Changes rows once the release of a migration is the current one.
 */
#ifndef TANDEM_RUN_AFTER_SWITCH_H
#define TANDEM_RUN_AFTER_SWITCH_H

#include "catalog/migration.h"

/*
 * Changes the rows that tandem.add_after_switch has named, or changes them back, if
 * they are due; until none is left.  Returns whether the run is to go on later: there
 * will be more once the release, or another region, has switched.  The caller has a
 * non-atomic SPI connection, has just committed, and holds the runner lock; see
 * loop_run.  Errors: another session has asked to stop; a row cannot be changed.
 */
extern bool after_switch_run(Migration *migration);

#endif							/* TANDEM_RUN_AFTER_SWITCH_H */
