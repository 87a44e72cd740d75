/*
 * top_level.h
 *		Statements that must not run inside a transaction: VACUUM, CREATE INDEX
 *		CONCURRENTLY.
 */
#ifndef TANDEM_TOP_LEVEL_H
#define TANDEM_TOP_LEVEL_H

/*
 * Runs exactly one statement as a client would, in transactions of its own.
 * Called in a background worker, with no transaction open.  Errors: those of
 * the statement, which the caller's abort of the transaction cleans up after.
 * Where owned is a table, the statement has the rights of its owner, in a
 * security-restricted operation; it must then be of one transaction.
 */
extern void top_level_run(const char *sql, Oid owned);

#endif							/* TANDEM_TOP_LEVEL_H */
