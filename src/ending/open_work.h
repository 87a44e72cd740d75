/*
 * open_work.h
 *		What of a migration is not done, or not proved, yet.
 */
#ifndef TANDEM_OPEN_WORK_H
#define TANDEM_OPEN_WORK_H

#include "catalog/migration.h"

/*
 * Returns the reasons why the data is not ready for contract, of char *; rules are
 * those of the migration.  With force, which passes over rows that disagree, are in
 * quarantine or are to be changed after the switch, only those about rows that were
 * never filled, and about what was not built.  Sets *broken if one of them is that a
 * rule can no longer be parsed, with which migrate does not run.
 */
extern List *open_work(const Migration *migration, List *rules, bool force,
					   bool *broken);

/* Are rows to be changed after a switch that has not been made everywhere? */
extern bool open_work_waits_for_switch(const Migration *migration);

#endif							/* TANDEM_OPEN_WORK_H */
