/*
 * transaction.c
 *		The transactions of a procedure that commits as it goes.
 *
 * What it works on others write too: the workers of a run, and who pauses or
 * configures it.  A row that they have written since the transaction began is
 * no error to it, and what it has read must not keep it from committing.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "core/settings.h"
#include "core/transaction.h"

void
transaction_commit(void)
{
	SPI_commit();
	settings_for_transaction("transaction_isolation", "read committed");
}
