/*
 * client_load.c
 *		Whether the server works for clients at this moment.
 */
#include "postgres.h"

#include "storage/proc.h"
#include "utils/wait_event.h"

#include "backfill/client_load.h"
#include "core/compat.h"

#define WAIT_CLASS_MASK 0xFF000000U

static bool
is_working(uint32 wait_event_info)
{
	switch (wait_event_info & WAIT_CLASS_MASK)
	{
		case 0:					/* computes, or wants to */
		case PG_WAIT_LWLOCK:
		case PG_WAIT_IPC:
		case PG_WAIT_IO:
			return true;
		default:
			return false;
	}
}

bool
client_load_seen(int but)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[i];

		if (compat_is_client(proc) && proc->pid != but &&
			is_working(*(volatile uint32 *) &proc->wait_event_info))
			return true;
	}
	return false;
}
