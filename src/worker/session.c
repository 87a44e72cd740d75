/*
 * session.c
 *		A worker's connection to SPI, as a procedure that may commit has it.
 *
 * The memory of such a connection belongs to a portal, which a worker has not:
 * this is the context that stands for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/memutils.h"

#include "worker/session.h"

static MemoryContext session_context = NULL;

void
session_begin(void)
{
	if (session_context == NULL)
		session_context = AllocSetContextCreate(TopMemoryContext,
												"tandem session",
												ALLOCSET_DEFAULT_SIZES);
	PortalContext = session_context;
	StartTransactionCommand();
	SPI_connect_ext(SPI_OPT_NONATOMIC);
}

void
session_end(void)
{
	SPI_finish();
	CommitTransactionCommand();
	MemoryContextReset(session_context);
}

void
session_abort(void)
{
	AbortOutOfAnyTransaction();
	MemoryContextReset(session_context);
}
