/*
 * vacuum.h
 *		VACUUM in between, so that a fill does not double its table.
 */
#ifndef TANDEM_VACUUM_H
#define TANDEM_VACUUM_H

#include "catalog/migration.h"
#include "catalog/step.h"

typedef struct Vacuuming
{
	const Migration *migration;
	Step	   *step;
	int64		filled_before;	/* rows of the step at the last VACUUM */
	int64		indexed_before; /* of these, with new entries in the indexes */
	bool		refused;		/* it has failed once, and was told */
} Vacuuming;

extern void vacuuming_start(Vacuuming *vacuuming, const Migration *migration,
							Step *step);

/*
 * Vacuums the table when tandem.vacuum_every percent of its rows have left
 * entries in its indexes since the last time, or, at the end, if anything has
 * been filled.  The caller has just committed
 * and holds no snapshot; waits for the end of the VACUUM, which it says in the
 * step, with whoever is in its way.  Gentle: clients are at work.
 */
extern void vacuuming_go_on(Vacuuming *vacuuming, bool at_end, bool gentle);

#endif							/* TANDEM_VACUUM_H */
