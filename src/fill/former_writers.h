/*
 * former_writers.h
 *		Transactions that may have written a table before its rows are looked
 *		at.
 */
#ifndef TANDEM_FORMER_WRITERS_H
#define TANDEM_FORMER_WRITERS_H

#include "nodes/pg_list.h"

/*
 * Returns the transactions of others that have one of the tables locked to write
 * it, as virtual transaction ids in text, in the current memory context.
 */
extern List *former_writers_find(List *relids);

/*
 * Returns those of them that still have, as marks (see lock_session_mark),
 * palloc'd; NULL if all have ended: what they have committed is visible then.
 */
extern char *former_writers_left(List *relids, List *writers);

#endif							/* TANDEM_FORMER_WRITERS_H */
