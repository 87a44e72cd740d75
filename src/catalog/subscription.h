/*
 * subscription.h
 *		Subscriptions by which rows of other servers arrive in a table.
 */
#ifndef TANDEM_SUBSCRIPTION_H
#define TANDEM_SUBSCRIPTION_H

#include "utils/rel.h"

typedef struct TableSubscription
{
	char	   *name;			/* palloc'd; NULL: nothing arrives in the
								 * table */
	bool		local_only;		/* has origin = none: takes local changes of
								 * its publisher only */
} TableSubscription;

/*
 * The subscription of the table, or of a partitioned table above it, as the
 * catalogs are now, enabled or not.  Of several, one with origin = none.
 */
extern TableSubscription subscription_of(Oid relid);

/*
 * Errors when changes of other servers arrive in rel, an ordinary table that
 * is locked, and the server would look for the row of an UPDATE or DELETE by
 * comparing all its columns.
 */
extern void subscription_check_key(Relation rel);

#endif							/* TANDEM_SUBSCRIPTION_H */
