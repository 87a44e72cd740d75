/*
 * top_level.h
 *		Statements that must not run inside a transaction: VACUUM, CREATE INDEX
 *		CONCURRENTLY.
 */
#ifndef TANDEM_TOP_LEVEL_H
#define TANDEM_TOP_LEVEL_H

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

#endif							/* TANDEM_TOP_LEVEL_H */
