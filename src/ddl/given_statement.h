/*
 * given_statement.h
 *		DDL statements of users that contract runs.
 */
#ifndef TANDEM_GIVEN_STATEMENT_H
#define TANDEM_GIVEN_STATEMENT_H

/*
 * Throws an error, with a hint, unless text is exactly one DDL statement on
 * objects of a schema that can run in a transaction block, and does not cascade.
 * Looks no name up.
 */
extern void given_statement_check(const char *text);

#endif							/* TANDEM_GIVEN_STATEMENT_H */
