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
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/settings.h"
#include "core/transaction.h"

void
transaction_commit(void)
{
	SPI_commit();
	settings_for_transaction("transaction_isolation", "read committed");
}

static void
rest_until_latch(long ms)
{
	CHECK_FOR_INTERRUPTS();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

void
transaction_poll(bool (*is_over) (void *), void *arg, long every_ms,
				 long commit_every_ms)
{
	MemoryContext caller = CurrentMemoryContext;

	/* what is waited for may take days */
	MemoryContext look = AllocSetContextCreate(caller, "tandem poll",
											   ALLOCSET_SMALL_SIZES);
	int64		committed = CLOCK_NEVER;
	bool		over = false;

	while (!over)
	{
		MemoryContextSwitchTo(look);
		over = is_over(arg);
		if (over || committed == CLOCK_NEVER ||
			clock_ms_since(committed) >= commit_every_ms)
		{
			transaction_commit();
			committed = clock_now();
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(look);
		if (!over)
			rest_until_latch(every_ms);
	}
	MemoryContextDelete(look);
}
