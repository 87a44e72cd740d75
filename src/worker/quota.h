/*
 * quota.h
 *		How many background workers one role may have at a time.
 *
 * Workers are the whole server's: one role must not have them all, over
 * however many migrations in however many databases.  Superusers are not limited.
 */
#ifndef TANDEM_QUOTA_H
#define TANDEM_QUOTA_H

/*
 * Whether the role may have one more.  spare: one that leaves the last of them
 * for statements that must run at top level, without which no run gets on.  An
 * invalid role is the server itself, which is not limited.
 */
extern bool quota_is_left(Oid role, bool spare);

/*
 * Counts this process, a worker, to the role until it ends, or until a
 * transaction is aborted.  In a transaction.  False: others have been faster.
 */
extern bool quota_try(Oid role, bool spare);

/* The same; errors instead. */
extern void quota_take(Oid role, bool spare);

#endif							/* TANDEM_QUOTA_H */
