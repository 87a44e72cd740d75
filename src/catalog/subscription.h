/*
 * subscription.h
 *		Logical replication: subscriptions by which rows arrive, and what is
 *		kept out of it.
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

/* Warns when a publication of this database has tables of schema tandem in it. */
extern void own_tables_warn_published(void);

#endif							/* TANDEM_SUBSCRIPTION_H */
