#include "postgres.h"
#include "backfill/throttle.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#define WEAK __attribute__((weak))
WEAK BuildResult
index_build_next(const Step *step, BuildPiece *piece)
{
	return BUILD_DONE;
}
WEAK void
index_build_undo(const Step *step)
{
}
WEAK BuildResult
constraint_build_next(const Step *step, BuildPiece *piece)
{
	return BUILD_DONE;
}
WEAK BuildResult
not_null_build_next(const Step *step, BuildPiece *piece)
{
	return BUILD_DONE;
}
WEAK void
constraint_build_undo(const Step *step)
{
}
WEAK void
not_null_build_undo(const Step *step)
{
}
WEAK List  *
constraint_build_locks(const Step *step)
{
	return NIL;
}
WEAK char  *
constraint_violation_hint(const Step *step)
{
	return "";
}
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
