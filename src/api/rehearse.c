/*
 * rehearse.c
 *		tandem.rehearse_change and tandem.rehearse.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "api/result_row.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/lock.h"
#include "core/sql_function.h"
#include "core/transaction.h"
#include "review/rehearsal.h"
#include "review/rehearse_change.h"

SQL_FUNCTION(tandem_rehearse_change);
SQL_FUNCTION(tandem_rehearse);

static Datum
interval_of_us(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return IntervalPGetDatum(interval);
}

static void
put_finding(ReturnSetInfo *result, const ChangeFinding *finding)
{
	ResultRow	row;
	List	   *keys = NIL;

	for (int i = 0; i < finding->nkeys; i++)
		keys = lappend(keys, finding->keys[i]);
	result_row_begin(&row, result);
	result_row_text(&row, finding->finding);
	result_row_text(&row, finding->object);
	result_row_bigint(&row, finding->rows, finding->rows >= 0);
	result_row_datum(&row, keys ? array_from_strings(keys, TEXTOID) : (Datum) 0, keys != NIL);
	result_row_bigint(&row, finding->bytes, finding->bytes >= 0);
	result_row_datum(&row, interval_of_us(finding->us), finding->us >= 0);
	result_row_text(&row, finding->detail);
	result_row_end(&row);
}

static Oid
argument_table(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null"),
				 errhint("Name the table whose column is to be changed.")));
	return PG_GETARG_OID(0);
}

/* 0: all rows */
static int64
argument_sample(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(4))
		return 0;
	if (PG_GETARG_INT64(4) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample_rows must be positive, not " INT64_FORMAT, PG_GETARG_INT64(4)),
				 errhint("Leave it out for all rows.")));
	return PG_GETARG_INT64(4);
}

Datum
tandem_rehearse_change(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ChangeCall	call = {
		.relation = argument_table(fcinfo),
		.type_text = argument_text(fcinfo, 1, "type"),
		.up = argument_optional_text(fcinfo, 2),
		.down = argument_optional_text(fcinfo, 3),
		.column = PG_ARGISNULL(5) ? NULL : argument_name(fcinfo, 5, "column_name")
	};
	int64		sample = argument_sample(fcinfo);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, rehearse_change(&call, sample))
		put_finding(result, lfirst(lc));
	return (Datum) 0;
}

/* Returns a time in microseconds, or -1 for NULL. */
static int64
argument_interval(FunctionCallInfo fcinfo, int n, const char *name)
{
	const Interval *interval;
	double		us;

	if (PG_ARGISNULL(n))
		return -1;
	interval = PG_GETARG_INTERVAL_P(n);
	us = interval->time + (interval->day + (double) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
	if (us < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name),
				 errhint("Leave it out for no limit.")));
	/* longer than anybody waits */
	return us < (double) PG_INT64_MAX / 2 ? (int64) us : PG_INT64_MAX / 2;
}

static int64
argument_bytes(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		return -1;
	if (PG_GETARG_INT64(n) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative: " INT64_FORMAT, name, PG_GETARG_INT64(n)),
				 errhint("Leave it out for no limit.")));
	return PG_GETARG_INT64(n);
}

/* They cannot be taken back, nor what stands before them. */
static void
check_top_level(const RehearsalCall *call, bool atomic)
{
	if (call->top_level && !call->keep)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("statements of top level cannot be rolled back"),
				 errhint("Pass keep => true with top_level, on a copy of the database; without top_level they are passed over.")));
	if (call->top_level && atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("statements of top level cannot be run in a transaction block"),
				 errhint("Call tandem.rehearse outside of one, or without top_level.")));
}

/* Where it may commit, the report stays although the call fails. */
Datum
tandem_rehearse(PG_FUNCTION_ARGS)
{
	RehearsalCall call = {
		.script = argument_text(fcinfo, 0, "script"),
		.keep = argument_bool(fcinfo, 1, "keep"),
		.max_lock_mode = PG_ARGISNULL(2) ? NoLock : rehearsal_lock_mode(argument_text(fcinfo, 2, "max_lock_mode")),
		.max_lock_us = argument_interval(fcinfo, 3, "max_lock_time"),
		.max_rewrite_bytes = argument_bytes(fcinfo, 4, "max_rewrite_bytes"),
		.top_level = argument_bool(fcinfo, 5, "top_level")
	};
	bool		atomic = !procedure_may_commit(fcinfo);
	Oid			caller = GetUserId();
	Rehearsal  *rehearsal;

	check_top_level(&call, atomic);
	lock_refuse_standby(AccessExclusiveLock);
	PreventCommandIfReadOnly("tandem.rehearse()");
	SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC);
	rehearsal = rehearsal_run(&call);
	rehearsal_store(rehearsal, caller);
	if (!atomic && (rehearsal->error || rehearsal->exceeded))
		transaction_commit();
	rehearsal_raise(rehearsal, !atomic);
	SPI_finish();
	PG_RETURN_VOID();
}
