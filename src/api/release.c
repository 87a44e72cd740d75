/*
 * release.c
 *		SQL functions of the release registry.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "catalog/after_switch.h"
#include "catalog/registry.h"
#include "catalog/release_view.h"
#include "catalog/session_release.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/sql_function.h"
#include "core/transaction.h"
#include "region/gate.h"
#include "release/fence.h"
#include "release/readiness.h"
#include "release/session.h"

SQL_FUNCTION(tandem_health);
SQL_FUNCTION(tandem_wait_for_release);
SQL_FUNCTION(tandem_switch_release);
SQL_FUNCTION(tandem_register_release);
SQL_FUNCTION(tandem_set_release_prefix);
SQL_FUNCTION(tandem_set_dependency);

/* poll interval, and maximum frequency of commits */
#define POLL_MS 100
#define LOOK_EVERY_MS 1000

Datum
tandem_health(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	Jsonb	   *requires = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	TupleDesc	result;
	ReleaseHealth health;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("tandem.health returns a row"),
				 errhint("Run SELECT * FROM tandem.health(%d);", release)));
	release_health(registry_or_error(), release, requires, &health);
	values[0] = BoolGetDatum(health.healthy);
	values[1] = CStringGetTextDatum(health.reason);
	values[2] = CStringGetTextDatum(release_state_name(health.state));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result),
													  values, nulls)));
}

static bool
release_is_ready(int release)
{
	ReleaseState state = registry_state_of(registry_or_error(), release);

	if (state == RELEASE_RETIRED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("release %d is retired, and will not become ready",
						release),
				 errhint("Run SELECT * FROM tandem.releases; to see which are served.")));
	return (state == RELEASE_READY || state == RELEASE_CURRENT) &&
		release_left_by(release) == NULL;
}

/* Counts the interval from now, as months differ in length. */
static int64
interval_microseconds(Interval *interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
															  TimestampTzGetDatum(now),
															  IntervalPGetDatum(interval)));

	if (TIMESTAMP_NOT_FINITE(end))
		return TIMESTAMP_IS_NOEND(end) ? PG_INT64_MAX : 0;
	return end - now;
}

/* A client that has disconnected needs no answer. */
static void
check_client_is_there(void)
{
	if (compat_client_is_there())
		return;
	ClientConnectionLost = true;
	InterruptPending = true;
	CHECK_FOR_INTERRUPTS();
}

typedef struct ReadyWait
{
	int			release;
	int64		started;		/* clock_now() at the start */
	int64		longest;		/* maximum wait, in microseconds */
	int64		client_seen;	/* clock_now() when the client was last
								 * checked */
} ReadyWait;

static bool
ready_wait_is_over(void *arg)
{
	ReadyWait  *wait = arg;
	int64		now = clock_now();

	if (release_is_ready(wait->release))
		return true;
	if (now - wait->started >= wait->longest)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("release %d did not become ready in time",
						wait->release),
				 errhint("See why: SELECT * FROM tandem.health(%d); SELECT * FROM tandem.status;",
						 wait->release)));
	if (clock_ms_since(wait->client_seen) >= LOOK_EVERY_MS)
	{
		check_client_is_there();
		wait->client_seen = now;
	}
	return false;
}

/*
 * Each look reads the session's copy of the registry, which is kept until a
 * change is announced, so no snapshot is held.  A commit once a second
 * releases the locks that reading it again has taken.
 */
Datum
tandem_wait_for_release(PG_FUNCTION_ARGS)
{
	ReadyWait	wait = {argument_release(fcinfo, 0), clock_now(), PG_INT64_MAX, 0};

	if (!procedure_may_commit(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("tandem.wait_for_release cannot run inside a transaction block"),
				 errhint("Call it on its own, with autocommit on.")));
	if (!PG_ARGISNULL(1))
		wait.longest = interval_microseconds(PG_GETARG_INTERVAL_P(1));
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	transaction_poll(ready_wait_is_over, &wait, POLL_MS, LOOK_EVERY_MS);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
check_may_switch(int release)
{
	Registry	registry;
	ReleaseHealth health;

	registry_read(&registry);
	release_health(&registry, release, NULL, &health);
	if (!health.healthy)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot switch to release %d", release),
				 errdetail("%s.", health.reason),
				 health.state == RELEASE_READ_ONLY
				 ? errhint("Call tandem.migrate for what SELECT * FROM tandem.status; does not show as ready, or wait for it with CALL tandem.wait_for_release(%d); then switch.", release)
				 : errhint("Run SELECT * FROM tandem.releases; to see which can be switched to.")));
}

Datum
tandem_switch_release(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	RegionGate	gate = {.act = REGION_SWITCH,.release = release,.name = ""};

	check_may_switch(release);
	gate.back = sync_is_one_way_after(release);
	/* without locks, since the others are waited for */
	region_gate_announce(&gate);
	registry_lock();
	registry_lock_release(release, ExclusiveLock);
	check_may_switch(release);
	(void) region_lock();
	region_gate_pass(&gate);
	registry_set_current(release);
	after_switch_turned_here(release);
	PG_RETURN_VOID();
}

Datum
tandem_register_release(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);

	registry_lock();
	registry_add_release(release, argument_optional_text(fcinfo, 1));
	registry_note_ready();
	fence_let_script_pass(release);
	PG_RETURN_VOID();
}

static void
refuse_prefix(const char *prefix, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" cannot be the prefix of the schemas of releases",
					prefix),
			 errdetail("%s", why),
			 errhint("Give the name of a schema without the number: SELECT tandem.set_release_prefix('release_');")));
}

/* The table has the same rules as a constraint, for what a restore loads. */
static void
check_prefix(const char *prefix)
{
	size_t		length = strlen(prefix);

	if (length == 0)
		refuse_prefix(prefix, "Each schema whose name is a number would be one of a release.");
	if (length > RELEASE_PREFIX_MAX)
		refuse_prefix(prefix, psprintf("It is longer than %d bytes.",
									   RELEASE_PREFIX_MAX));
	if (strncmp(prefix, "pg_", 3) == 0)
		refuse_prefix(prefix, "Names that begin with \"pg_\" are reserved for the server.");
	if (isdigit((unsigned char) prefix[length - 1]))
		refuse_prefix(prefix, "It ends in a digit, which could be one of the number.");
}

Datum
tandem_set_release_prefix(PG_FUNCTION_ARGS)
{
	char	   *prefix = argument_text(fcinfo, 0, "prefix");

	check_prefix(prefix);
	if (!registry_may_change())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set the prefix of the schemas of releases"),
				 errdetail("It decides which sessions belong to a release."),
				 errhint("Run GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO %s; as the owner of the extension or a superuser.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	registry_lock();
	release_view_lock_prefix(ExclusiveLock);
	if (strcmp(prefix, release_prefix()) == 0)
		PG_RETURN_VOID();
	if (release_view_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("releases have views in schemas with the prefix \"%s\"",
						release_prefix()),
				 errhint("Set the prefix before the first call of tandem.create_views.")));
	release_set_prefix(prefix);
	PG_RETURN_VOID();
}

Datum
tandem_set_dependency(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "name");

	if (PG_ARGISNULL(1) || name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a dependency has a name and a version"),
				 errhint("Run SELECT tandem.set_dependency('search-index', 7);")));
	registry_set_dependency(name, PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}
