/*
 * gate.h
 *		What waits for other regions: the switch to a release, contract, abort, and
 *		each step of take_keys.
 *
 * What is known of another region is as old as its row here.  That its expanded,
 * current and lowest release have grown since does no harm; that it has aborted
 * would.  So what is about to be done is announced, and the others' answers are
 * waited for: who answers has done before, in his stream, all that he has done
 * without knowing of it.
 */
#ifndef TANDEM_GATE_H
#define TANDEM_GATE_H

#include "catalog/region_row.h"

typedef struct RegionGate
{
	RegionAct	act;
	int			release;		/* 0: it concerns no other region */
	int			migration_id;	/* 0 for a switch */
	const char *name;			/* of the migration */
	int			takes;			/* contract: the release whose columns are
								 * taken then, which the others must send */
	bool		everywhere;		/* contract: every region must have switched */
	bool		back;			/* switch: from a release that does not write
								 * back what the one before reads */
	bool		force;			/* look at no other region */
} RegionGate;

/* Refuses the act if what is known of another region forbids it. */
extern void region_gate_check(const RegionGate *gate);

/*
 * Refuses the act if what is known of another region forbids it; then announces it
 * and waits for the others, at most tandem.region_timeout.  Call before tables are
 * locked; who commits before the act must hold the runner lock.  Does nothing if
 * this database is no region, or the only one.
 */
extern void region_gate_announce(const RegionGate *gate);

/*
 * Call in the transaction that acts, with the own row locked (region_lock): looks at
 * the others once more, and takes the announcement back at commit.
 */
extern void region_gate_pass(const RegionGate *gate);

/*
 * Tells who begins a migration of a release that was aborted here, while another
 * region has expanded it.
 */
extern void region_gate_warn_of_kept(int release);

#endif							/* TANDEM_GATE_H */
