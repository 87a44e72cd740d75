/*
 * former_writers.h
 *		Transactions that may have written a table before a verify begins.
 */
#ifndef TANDEM_FORMER_WRITERS_H
#define TANDEM_FORMER_WRITERS_H

#include "nodes/pg_list.h"

/*
 * Returns the transactions of others that have the table locked to write it, as
 * virtual transaction ids in text, in the current memory context.
 */
extern List *former_writers_find(Oid relid);

/*
 * Returns those of them that still have, as marks (see lock_session_mark),
 * palloc'd; NULL if all have ended: what they have committed is visible then.
 */
extern char *former_writers_left(Oid relid, List *writers);

#endif							/* TANDEM_FORMER_WRITERS_H */
