/*
 * declared.h
 *		Sessions that have declared their release.
 */
#ifndef TANDEM_DECLARED_H
#define TANDEM_DECLARED_H

#include "nodes/pg_list.h"

/* This session is of that release, for all to see, until it says otherwise. */
extern void declared_hold(int release);

/* Whether it has said so; it has taken that back. */
extern bool declared_is_held(void);
extern void declared_release(void);

/*
 * Sessions of releases older than release that are in a transaction now, and
 * prepared transactions that hold locks on relids.  To be asked again with
 * declared_still_there.
 */
extern List *declared_transactions(int release, List *relids);

/* Those of them that have not ended; their descriptions in *text. */
extern List *declared_still_there(List *transactions, char **text);

/* Process ids of other sessions of releases older than release, as strings. */
extern List *declared_sessions_before(int release);

/*
 * Sessions that may write relids and have not declared themselves, as lines
 * for people.
 */
extern List *declared_not(List *relids);

#endif							/* TANDEM_DECLARED_H */
