/*
 * no_tid_range.c
 *		A table access method that is heap, but for the TID range scans, which the
 *		server leaves to each method to have or not.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT Datum no_tid_range(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(no_tid_range);

Datum
no_tid_range(PG_FUNCTION_ARGS)
{
	static TableAmRoutine routine;

	routine = *GetHeapamTableAmRoutine();
	routine.scan_set_tidrange = NULL;
	routine.scan_getnextslot_tidrange = NULL;
	PG_RETURN_POINTER(&routine);
}
