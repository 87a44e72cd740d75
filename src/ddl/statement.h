/*
 * statement.h
 *		DDL statements of ours.
 */
#ifndef TANDEM_STATEMENT_H
#define TANDEM_STATEMENT_H

/*
 * Runs one utility statement through SPI as the current user, with search_path
 * and the forms of text pinned.  The text has been built with the server's
 * quoting functions only, and holds no expression that somebody stored.
 */
extern void ddl_run(const char *sql);

/*
 * The same for a statement that holds stored text of the table, or has the
 * server evaluate what its catalogs hold of it: runs as its owner (see
 * authority_enter_stored).
 */
extern void ddl_run_stored(Oid relid, const char *sql);

/* Whether such a statement is running: then the guard lets it pass. */
extern bool ddl_is_running(void);

#endif							/* TANDEM_STATEMENT_H */
