/*
 * statement.h
 *		Runs statements on the user's tables, within a transaction and
 *		outside of one.
 */
#ifndef TANDEM_STATEMENT_H
#define TANDEM_STATEMENT_H

/*
 * Runs one utility statement through SPI as the current user, with search_path
 * and text-related settings pinned.  The text must be built only with the
 * server's quoting functions, and contain no expression that a user has
 * stored.
 *
 * Event triggers that it fires have the settings of the caller (see
 * authority_note_caller), so do not call this in a scope that has pinned
 * search_path.  An error of theirs gets a hint that says so.
 */
extern void ddl_run(const char *sql);

/*
 * The same as the table's owner (see authority_enter_stored), for a statement
 * that contains stored text of the table, or makes the server evaluate such
 * text from its catalogs.
 */
extern void ddl_run_stored(Oid relid, const char *sql);

/*
 * The same as role, for a statement with stored text of an object of that role, in which
 * search_path serves for what cannot be qualified alone.
 */
extern void ddl_run_as(Oid role, const char *sql, const char *search_path);

/*
 * The same for a statement that has no such text, but consists of qualified names
 * alone, and makes the server evaluate expressions from its catalogs: their
 * functions may look names up, and do so under search_path, that of expand.  NULL:
 * under the caller's.
 */
extern void ddl_run_evaluating(Oid relid, const char *sql,
							   const char *search_path);

/*
 * The same for a statement that a user has stored as a whole, which is not ours:
 * what follows the DDL of users follows it, and the DDL guard may refuse it.
 */
extern void ddl_run_given(Oid relid, const char *sql, const char *search_path);

/*
 * Is such a statement running?  Is it ours, not that of a user?  Then the DDL
 * guard lets it pass.
 */
extern bool ddl_is_running(void);
extern bool ddl_is_ours(void);

/*
 * An error while such a statement is running: what is called then has been
 * called by code of a user that the statement runs, an event trigger say, in the
 * middle of a call that has read its migration already and continues with it.
 */
extern void ddl_refuse_nested(void);

/*
 * Runs exactly one statement for the table relid as a client would, in
 * transactions of its own: CREATE, DROP INDEX or REINDEX CONCURRENTLY, VACUUM,
 * ANALYZE, or an ALTER TABLE of one transaction.  Call in a background worker
 * whose user is the table's owner (authority_table_owner), with no transaction
 * open.
 *
 * Stored text in the statement is analyzed, and as far as possible run, in a
 * security-restricted operation, and only as the owner.  Errors: those of the
 * statement, after which the caller must abort the transaction; the table was
 * dropped or has another owner now.
 *
 * Returns whether the session is as it was before: false where functions of
 * others may have changed its settings, those of event triggers.
 */
extern bool top_level_run(const char *sql, Oid relid);

/*
 * The same of any one utility statement that the user of this process has passed himself,
 * in a worker that has connected as that user: nothing of it is restricted, as in a session
 * of his.
 */
extern void top_level_run_own(const char *sql);

#endif							/* TANDEM_STATEMENT_H */
