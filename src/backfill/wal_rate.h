/*
 * wal_rate.h
 *		How fast the server writes WAL, against tandem.max_wal_rate.
 *
 * Of the process: it goes from table to table, and the rate does not begin
 * again with each.  Times are seconds of a clock that does not jump.
 */
#ifndef TANDEM_WAL_RATE_H
#define TANDEM_WAL_RATE_H

/* A batch starts now; it has ended. */
extern void wal_rate_batch_starts(double now);
extern void wal_rate_batch_ends(void);

/* Why a batch must wait, palloc'd, or NULL. */
extern char *wal_rate_reason(double now);

#endif							/* TANDEM_WAL_RATE_H */
