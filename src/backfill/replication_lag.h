/*
 * replication_lag.h
 *		How far standbys and replication slots are behind, against
 *		tandem.max_lag_size and tandem.max_lag_time.
 */
#ifndef TANDEM_REPLICATION_LAG_H
#define TANDEM_REPLICATION_LAG_H

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

#endif							/* TANDEM_REPLICATION_LAG_H */
