/*
 * transaction.h
 *		The transactions of a procedure that commits as it goes.
 */
#ifndef TANDEM_TRANSACTION_H
#define TANDEM_TRANSACTION_H

/*
 * Commits the transaction of a procedure, or of a worker, that is connected to
 * SPI and may do so.  The next one begins at READ COMMITTED, whatever the
 * session's default is.  Memory and errors are as with SPI_commit.
 */
extern void transaction_commit(void);

#endif							/* TANDEM_TRANSACTION_H */
