/*
 * subtransaction.c
 *		Work whose error is returned instead of raised.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/resowner.h"

#include "core/subtransaction.h"

static ErrorData *
run(void (*work) (void *), void *arg, bool keep)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

ErrorData *
subtransaction_try(void (*work) (void *), void *arg)
{
	return run(work, arg, true);
}

ErrorData *
subtransaction_rehearse(void (*work) (void *), void *arg)
{
	return run(work, arg, false);
}
