/*
 * statement.h
 *		DDL statements of ours, run as the current user.
 */
#ifndef TANDEM_STATEMENT_H
#define TANDEM_STATEMENT_H

/*
 * Runs one utility statement through SPI, with search_path and the forms of
 * text pinned.  The text has been built with the server's quoting functions
 * only.
 */
extern void ddl_run(const char *sql);

/* Whether such a statement is running: then the guard lets it pass. */
extern bool ddl_is_running(void);

#endif							/* TANDEM_STATEMENT_H */
