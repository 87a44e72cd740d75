/*
 * subscription.h
 *		Logical replication: subscriptions of a table; exclusion of our
 *		tables.
 */
#ifndef TANDEM_SUBSCRIPTION_H
#define TANDEM_SUBSCRIPTION_H

#include "utils/rel.h"

typedef struct TableSubscription
{
	char	   *name;			/* palloc'd; NULL if the table has none */
	bool		local_only;		/* origin = none: gets only local changes of
								 * the publisher */
} TableSubscription;

/*
 * Returns the subscription of the table, or of a partitioned table above it,
 * enabled or not.  If there are several, prefers one with origin = none.
 */
extern TableSubscription subscription_of(Oid relid);

/*
 * Throws an error if rel, a locked leaf table, is subscribed and the server
 * would find the row of an UPDATE or DELETE by comparing all its columns.
 */
extern void subscription_check_key(Relation rel);

/* Warns if a publication of this database includes tables of schema tandem. */
extern void own_tables_warn_published(void);

#endif							/* TANDEM_SUBSCRIPTION_H */
