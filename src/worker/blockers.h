/*
 * blockers.h
 *		Who is in the way of a process.
 */
#ifndef TANDEM_BLOCKERS_H
#define TANDEM_BLOCKERS_H

/*
 * The sessions and prepared transactions that process pid waits for, as text
 * for people; NULL: it does not wait.
 */
extern char *blockers_of(int pid);

#endif							/* TANDEM_BLOCKERS_H */
