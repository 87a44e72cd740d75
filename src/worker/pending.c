#include "postgres.h"
#include "backfill/throttle.h"
#define WEAK __attribute__((weak))
WEAK Throttle *
throttle_create(Oid relid, int workers)
{
	return NULL;
}
WEAK void
throttle_learn(Throttle *throttle, int64 rows, double ms)
{
}
WEAK char  *
throttle_reason(Throttle *throttle, long *wait_ms)
{
	return NULL;
}
