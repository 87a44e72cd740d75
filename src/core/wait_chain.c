/*
 * wait_chain.c
 *		Who waits for whom, as far as the server's locks tell.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/fmgrprotos.h"

#include "core/compat.h"
#include "core/query.h"
#include "core/wait_chain.h"

bool
wait_chain_process_waits(int pid)
{
	PGPROC	   *process = BackendPidGetProc(pid);

	return process && process->waitLock != NULL;
}

/* Adds the sessions that block pid, as pg_blocking_pids shows them. */
static List *
add_blockers(List *pids, int pid)
{
	return list_concat_unique_int(pids,
								  ints_from_array(DirectFunctionCall1(pg_blocking_pids,
																	  Int32GetDatum(pid))));
}

/*
 * The list grows in place; 0 stands for a prepared transaction, which waits for
 * none.
 */
static bool
chains_lead_to(List *pids, int target)
{
	for (int i = 0; i < list_length(pids); i++)
	{
		int			pid = list_nth_int(pids, i);

		if (pid == target)
			return true;
		if (pid != 0)
			pids = add_blockers(pids, pid);
	}
	return false;
}

bool
wait_chain_leads_to(int pid, int target)
{
	List	   *pids = add_blockers(NIL, pid);
	bool		result = chains_lead_to(pids, target);

	list_free(pids);
	return result;
}

LockHolder
wait_chain_holder(const LOCKTAG *lock, LOCKMODE mode)
{
	int			count;
	VirtualTransactionId *holders = GetLockConflicts(lock, mode, &count);
	List	   *pids = NIL;
	LockHolder	result = HOLDER_RUNS;

	for (int i = 0; i < count; i++)
	{
		int			pid = compat_holder_pid(holders[i]);

		if (pid && wait_chain_process_waits(pid))
			pids = list_append_unique_int(pids, pid);
	}
	if (pids != NIL)
		result = HOLDER_WAITS;

	if (chains_lead_to(pids, MyProcPid))
		result = HOLDER_WAITS_FOR_US;
	list_free(pids);
	pfree(holders);
	return result;
}
