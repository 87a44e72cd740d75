/*
 * snapshot.h
 *		An active snapshot, wherever the server may need one.
 *
 * Only under one does the server fetch what a table or catalog keeps out of
 * line, and run a function, which planning and reading a literal may do, too.
 * A procedure that has committed and a worker have none.
 */
#ifndef TANDEM_SNAPSHOT_H
#define TANDEM_SNAPSHOT_H

/* Pushes a snapshot of what is committed now; PopActiveSnapshot ends it. */
extern void snapshot_push_latest(void);

/* The same of what was there before this transaction changed anything. */
extern void snapshot_push_before(void);

/*
 * Sees to it that one is active until snapshot_leave, which is given the
 * result.  After an error the abort of the (sub)transaction does that.
 */
extern bool snapshot_enter(void);
extern void snapshot_leave(bool entered);

#endif							/* TANDEM_SNAPSHOT_H */
