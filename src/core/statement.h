/*
 * statement.h
 *		Statements on the user's tables, in the transaction and outside of
 *		one.
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

/*
 * An error while such a statement is running: what is called then has been
 * called by code of a user that the statement runs, an event trigger say, in the
 * middle of a call that has read its migration already and goes on with it.
 */
extern void ddl_refuse_nested(void);

/*
 * Runs exactly one statement for the table relid as a client would, in
 * transactions of its own: CREATE, DROP INDEX or REINDEX CONCURRENTLY, VACUUM,
 * ANALYZE, or an ALTER TABLE of one transaction.  Called in a background worker
 * that is the owner of the table (authority_table_owner), with no transaction
 * open.
 *
 * What of the statement was stored is read, and what can be run so is run, in a
 * security-restricted operation; never as anybody but the owner.  Errors: those
 * of the statement, which the caller's abort of the transaction cleans up after;
 * the table is gone, or has another owner now.
 */
extern void top_level_run(const char *sql, Oid relid);

#endif							/* TANDEM_STATEMENT_H */
