/*
 * rehearse_change.h
 *		A change of a column, tried on the rows that are there before it is made.
 */
#ifndef TANDEM_REHEARSE_CHANGE_H
#define TANDEM_REHEARSE_CHANGE_H

#include "nodes/pg_list.h"

#include "review/change_trial.h"

/* number of keys that a finding shows */
#define CHANGE_SAMPLE 5

typedef struct ChangeFinding
{
	const char *finding;
	const char *object;			/* NULL: none */
	int64		rows;			/* negative: does not apply, as in the next
								 * two */
	int64		bytes;
	int64		us;
	int			nkeys;
	char	   *keys[CHANGE_SAMPLE];	/* as JSON text */
	const char *detail;			/* NULL: none */
} ChangeFinding;

/*
 * Tries up and down of the call on all rows of its table, or on that many (0: all), as the
 * current user, who must be allowed to read it; writes nothing to it.  Returns a list of
 * ChangeFinding.  Waits for no lock longer than tandem.lock_timeout.
 *
 * Errors: those of change_call_read and of expression_parse; the table is none whose rows
 * can be filled; the user may not see all of its rows; up or down writes.
 */
extern List *rehearse_change(ChangeCall *call, int64 sample_rows);

#endif							/* TANDEM_REHEARSE_CHANGE_H */
