/*
 * release_subscription.h
 *		Which publication of other servers the subscriptions of this database
 *		take.
 */
#ifndef TANDEM_RELEASE_SUBSCRIPTION_H
#define TANDEM_RELEASE_SUBSCRIPTION_H

/*
 * Has the subscriptions of this database that take the publication of a release,
 * or the one with all columns, take that of this release instead; 0: the one with
 * all columns.  Their other publications stay.  Takes effect at commit.  If the
 * caller may not change one: an error of level elevel, which shows the statement;
 * below ERROR, that subscription stays as it is.
 */
extern void release_subscription_take(int release, int elevel);

/*
 * Ends the workers of the subscriptions that take the publication of this release
 * now.  Call last in the transaction that has had them take it and drops columns: a
 * worker in the middle of a transaction would go on with columns that are gone, and
 * fail once.  It begins again with what it takes then.
 */
extern void release_subscription_restart(int release);

/* Throws the error that release_subscription_take would throw, and changes nothing. */
extern void release_subscription_check(int release);

/*
 * Throws an error if no migration, publication or node of this database has the
 * release: then its number is probably a mistake.
 */
extern void release_subscription_check_known(int release);

#endif							/* TANDEM_RELEASE_SUBSCRIPTION_H */
