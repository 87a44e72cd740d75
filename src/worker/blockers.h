/*
 * blockers.h
 *		Who is in the way of a process.
 */
#ifndef TANDEM_BLOCKERS_H
#define TANDEM_BLOCKERS_H

/*
 * The sessions and prepared transactions that process pid waits for, with marks
 * as of lock_session_mark; NULL: it does not wait.
 */
extern char *blockers_of(int pid);

#endif							/* TANDEM_BLOCKERS_H */
