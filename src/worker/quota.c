/*
 * quota.c
 *		How many background workers one role may have at a time.
 *
 * Each worker of a role holds one of so many locks on the address of the role,
 * numbered from 1 by objsubid: the server itself locks a role with objsubid 0.
 * The locks are of no database, as workers are not.  They are session locks of
 * the server's own kind: advisory ones a function of the user's could give back.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lock.h"

#include "core/compat.h"
#include "core/settings.h"
#include "worker/quota.h"

/* a runner and a worker for its statements */
#define SMALLEST_QUOTA 2

static LOCKTAG taken;

/* 0: without limit */
static int
quota_of(Oid role, bool spare)
{
	int			quota = setting_max_workers_per_role > 0
	? setting_max_workers_per_role : max_worker_processes / 2;

	if (!OidIsValid(role) || superuser_arg(role))
		return 0;
	return Max(quota, SMALLEST_QUOTA) - (spare ? 1 : 0);
}

static void
set_tag(LOCKTAG *tag, Oid role, int number)
{
	SET_LOCKTAG_OBJECT(*tag, InvalidOid, AuthIdRelationId, role, number);
}

static bool
is_taken(Oid role, int number)
{
	LOCKTAG		tag;
	int			count;

	set_tag(&tag, role, number);
	pfree(GetLockConflicts(&tag, ExclusiveLock, &count));
	return count > 0;
}

bool
quota_is_left(Oid role, bool spare)
{
	int			quota = quota_of(role, spare);

	for (int number = 1; number <= quota; number++)
	{
		if (!is_taken(role, number))
			return true;
	}
	return quota == 0;
}

/* The server itself gives back no such session lock at the end of a process. */
static void
give_back(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	if (compat_lock_is_held(&taken, ExclusiveLock))
		(void) LockRelease(&taken, ExclusiveLock, true);
}

bool
quota_try(Oid role, bool spare)
{
	static bool registered = false;
	int			quota = quota_of(role, spare);

	if (quota == 0 ||
		(registered && compat_lock_is_held(&taken, ExclusiveLock)))
		return true;
	if (!registered)
		before_shmem_exit(give_back, (Datum) 0);
	registered = true;
	for (int number = 1; number <= quota; number++)
	{
		set_tag(&taken, role, number);
		if (LockAcquire(&taken, ExclusiveLock, true, true) !=
			LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

void
quota_take(Oid role, bool spare)
{
	if (!quota_try(role, spare))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("role \"%s\" has all the background workers that it may have",
						GetUserNameFromId(role, false)),
				 errhint("Wait until some have ended, or raise tandem.max_workers_per_role.")));
}
