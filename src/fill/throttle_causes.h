/*
 * throttle_causes.h
 *		What a fill gives way to.
 */
#ifndef TANDEM_THROTTLE_CAUSES_H
#define TANDEM_THROTTLE_CAUSES_H

#include "catalog/migration.h"
#include "catalog/run_control.h"

/*
 * Whether a client's session, of any database, is computing, reading or
 * writing now: not one that is idle, sleeps or waits for a lock, nor one that
 * has ended, nor a WAL sender.  The session with process id but is not
 * counted; 0: all are.  A look at shared memory without locks, so the answer
 * may be of a moment ago.
 */
extern bool client_load_seen(int but);

/*-------------------------------------------------------------------------
 * How fast the server writes WAL, against tandem.max_wal_rate.
 *
 * Of the process: it goes from table to table, and the rate does not begin
 * again with each.  Times are seconds of a clock that does not jump.
 *-------------------------------------------------------------------------
 */

/* A batch starts now; it has ended. */
extern void wal_rate_batch_starts(double now);
extern void wal_rate_batch_ends(void);

/* Why a batch must wait, palloc'd, or NULL. */
extern char *wal_rate_reason(double now);

/*
 * Notes how far the server's WAL is now, once in a while: so that time behind
 * can be told later.  Cheap; to be called often.  now: seconds of a clock that
 * does not jump.
 */
extern void replication_lag_sample(double now);

/*
 * Why a batch must wait, palloc'd, or NULL: the source furthest behind of
 * those in tandem.lag_sources that are too far.  Runs a query.
 */
extern char *replication_lag_reason(double now);

/*
 * The function of that name, as the current search_path finds it.  Errors: it
 * is not there, or is not a function without arguments that returns boolean or
 * text.
 */
extern Oid	hold_function_find(const char *name);

extern Oid	hold_function_owner(Oid funcid);

/*
 * Its name with its schema, quoted, palloc'd; wanted is what it was asked for
 * by.  Errors: it was dropped meanwhile.
 */
extern char *hold_function_name(Oid funcid, const char *wanted);

/*
 * Why tandem.hold_function, of the migration or else of the session, wants the
 * fill of a table to hold, as text for people, palloc'd; NULL: it does not, or
 * there is none.  It has the rights of who configured it, in a
 * security-restricted operation.  Errors: those of the function; that role is
 * gone, or may no longer act on the migration.
 */
extern char *hold_function_reason(const Migration *migration,
								  const RunControl *control, Oid relid);

#endif							/* TANDEM_THROTTLE_CAUSES_H */
