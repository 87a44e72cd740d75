/*
 * session.h
 *		A worker's connection to SPI, as a procedure that may commit has it.
 */
#ifndef TANDEM_SESSION_H
#define TANDEM_SESSION_H

/* Begins a transaction and connects; the next SPI_commit begins another. */
extern void session_begin(void);

/* Commits. */
extern void session_end(void);

/* After an error: ends whatever is open, and gives back all locks. */
extern void session_abort(void);

#endif							/* TANDEM_SESSION_H */
