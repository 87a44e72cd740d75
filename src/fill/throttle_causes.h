/*
 * throttle_causes.h
 *		The causes for which a fill waits.
 */
#ifndef TANDEM_THROTTLE_CAUSES_H
#define TANDEM_THROTTLE_CAUSES_H

#include "catalog/migration.h"
#include "catalog/run_control.h"

/*
 * Is a client session of any database computing, reading or writing now?
 * Sessions that are idle, sleep or wait for a lock do not count, nor do WAL
 * senders and the session with process id but (0 for none).  Reads shared
 * memory without locks, so the answer may be slightly out of date.
 */
extern bool client_load_seen(int but);

/*-------------------------------------------------------------------------
 * The rate at which the server writes WAL, for tandem.max_wal_rate.
 *
 * The measurements belong to the process: they go on when it turns to the next
 * table.  Times are in seconds of a monotonic clock.
 *-------------------------------------------------------------------------
 */

/* Call when a batch starts, and when it has ended. */
extern void wal_rate_batch_starts(double now);
extern void wal_rate_batch_ends(void);

/* Returns the reason why a batch must wait, palloc'd, or NULL. */
extern char *wal_rate_reason(double now);

/*
 * Notes the current WAL position from time to time, so that lag in time can be
 * determined later.  It is cheap; call it often.  now is in seconds of a
 * monotonic clock.
 */
extern void replication_lag_sample(double now);

/*
 * Returns the reason why a batch must wait, palloc'd, or NULL: the source with
 * the largest lag among those of tandem.lag_sources that exceed a limit.  Runs
 * a query.
 */
extern char *replication_lag_reason(double now);

/*
 * hold_function_find returns the function of that name in the current
 * search_path.  Errors: it does not exist, or is not a function without
 * arguments that returns boolean or text.  hold_function_owner returns its
 * owner.
 */
extern Oid	hold_function_find(const char *name);

extern Oid	hold_function_owner(Oid funcid);

/*
 * Returns its schema-qualified, quoted name, palloc'd.  wanted is the name by
 * which it was asked for.  Errors: it was dropped meanwhile.
 */
extern char *hold_function_name(Oid funcid, const char *wanted);

/*
 * Returns the reason that tandem.hold_function gives for the fill of a table
 * to wait, palloc'd, or NULL if it gives none or is not set.  The setting of
 * the migration has precedence over that of the session.  The function runs
 * with the rights of the role that configured it, in a security-restricted
 * operation.  Errors: those of the function; the role was dropped, or may no
 * longer act on the migration.
 */
extern char *hold_function_reason(const Migration *migration,
								  const RunControl *control, Oid relid);

#endif							/* TANDEM_THROTTLE_CAUSES_H */
