/*
 * client_load.h
 *		Whether the server works for clients at this moment.
 */
#ifndef TANDEM_CLIENT_LOAD_H
#define TANDEM_CLIENT_LOAD_H

/*
 * Whether a client's session, of any database, is computing, reading or
 * writing now: not one that is idle, sleeps or waits for a lock, nor one that
 * has ended, nor a WAL sender.  The session with process id but is not
 * counted; 0: all are.  A look at shared memory without locks, so the answer
 * may be of a moment ago.
 */
extern bool client_load_seen(int but);

#endif							/* TANDEM_CLIENT_LOAD_H */
