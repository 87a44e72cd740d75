/*
 * observed.h
 *		What a statement has done to relations: locks, scans, new files.
 */
#ifndef TANDEM_OBSERVED_H
#define TANDEM_OBSERVED_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* What one statement has done to a relation that was there before the script. */
typedef struct ObservedUse
{
	Oid			relid;
	char	   *relation;		/* qualified, quoted */
	LOCKMODE	mode;			/* the strongest that it has taken, or, held
								 * before, that was expected; where there is
								 * neither, that is held */
	int			waiting;		/* sessions behind that lock when it ended */
	int64		rewritten;		/* bytes of the new file, and of what is
								 * stored apart; 0 if it has none */
	int64		scans;
} ObservedUse;

typedef struct Observer Observer;

/*
 * Begins to observe: what the transaction has locked before does not count.  Allocates in
 * the current memory context.
 */
extern Observer *observer_begin(void);

/*
 * Returns what the statement that has just ended has done, a list of ObservedUse.
 * expected has the relations that it should have locked, of ObservedUse with relid and
 * mode: these count even if it holds no lock that it did not hold before.  Relations that the transaction has made itself are
 * left out: nobody else sees them; and indexes whose lock keeps nobody away that the lock of
 * their table does not.
 */
extern List *observer_look(Observer *observer, List *expected);

/*
 * Looks at the locks that process pid holds now, a worker that runs the statement for this
 * one.  observer_look then returns what was seen, of locks, waiting sessions and files.
 */
extern void observer_watch(Observer *observer, int pid);

/* Returns how many sessions waited for a lock of the relation at the last look. */
extern int	observer_waiting(const Observer *observer, Oid relid);

/* Returns what a lock in that mode keeps others from. */
extern const char *observed_blocks(LOCKMODE mode);

#endif							/* TANDEM_OBSERVED_H */
