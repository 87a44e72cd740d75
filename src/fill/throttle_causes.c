/*
 * throttle_causes.c
 *		The causes for which a fill waits.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "catalog/migration_rights.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"
#include "fill/throttle_causes.h"

/*-------------------------------------------------------------------------
 * Are clients active on the server at this moment?
 *-------------------------------------------------------------------------
 */

#define WAIT_CLASS_MASK 0xFF000000U

static bool
wait_event_is_work(uint32 wait_event_info)
{
	switch (wait_event_info & WAIT_CLASS_MASK)
	{
		case 0:					/* running, or waiting for a CPU */
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
			wait_event_is_work(*(volatile uint32 *) &proc->wait_event_info))
			return true;
	}
	return false;
}

/*-------------------------------------------------------------------------
 * The rate at which the server writes WAL, for tandem.max_wal_rate.
 *
 * The larger of two rates counts.  One is that of all WAL of the last second.
 * The other is the WAL of our last batch divided by the time since it began;
 * it keeps the average if one batch writes more than a second's worth.  Both
 * fall while the fill waits.
 *-------------------------------------------------------------------------
 */

#define WINDOW 1.0				/* in seconds */
#define SAMPLES 16
#define SAMPLE_INTERVAL 0.1		/* in seconds; SAMPLES of them exceed the
								 * window */

typedef struct WalSample
{
	double		at;
	XLogRecPtr	position;
} WalSample;

static WalSample samples[SAMPLES];	/* ring buffer */
static int	taken = 0;			/* total count, modulo SAMPLES the next index */
static WalSample batch_start;
static uint64 batch_bytes = 0;

/* Returns a sample; 0 is the newest. */
static WalSample *
wal_sample(int back)
{
	return &samples[(taken - 1 - back) % SAMPLES];
}

static void
take_wal_sample(double now, XLogRecPtr position)
{
	if (taken > 0 && now - wal_sample(0)->at < SAMPLE_INTERVAL)
		return;
	/* keep the count small without changing the next index */
	if (taken == 2 * SAMPLES)
		taken = SAMPLES;
	samples[taken % SAMPLES].at = now;
	samples[taken % SAMPLES].position = position;
	taken++;
}

/* Returns bytes per second since the newest sample at least WINDOW old. */
static double
server_wal_rate(double now, XLogRecPtr position)
{
	int			back = 0;

	while (back + 1 < Min(taken, SAMPLES) &&
		   now - wal_sample(back)->at < WINDOW)
		back++;
	return (position - wal_sample(back)->position) /
		Max(now - wal_sample(back)->at, WINDOW);
}

static double
batch_wal_rate(double now)
{
	return batch_bytes / Max(now - batch_start.at, 0.001);
}

void
wal_rate_batch_starts(double now)
{
	batch_bytes = 0;
	batch_start.at = now;
	batch_start.position = InvalidXLogRecPtr;
	if (setting_max_wal_rate > 0 && !RecoveryInProgress())
		batch_start.position = GetXLogInsertRecPtr();
}

void
wal_rate_batch_ends(void)
{
	if (!XLogRecPtrIsInvalid(batch_start.position))
		batch_bytes = GetXLogInsertRecPtr() - batch_start.position;
	batch_start.position = InvalidXLogRecPtr;
}

char *
wal_rate_reason(double now)
{
	XLogRecPtr	position;
	double		rate;

	if (setting_max_wal_rate == 0 || RecoveryInProgress())
	{
		taken = 0;
		return NULL;
	}
	position = GetXLogInsertRecPtr();
	take_wal_sample(now, position);
	rate = Max(server_wal_rate(now, position), batch_wal_rate(now));
	if (rate <= setting_max_wal_rate * 1024.0)
		return NULL;
	return psprintf("%s of WAL are written per second (%s)",
					text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
																	   Int64GetDatum((int64) rate)))),
					settings_show("tandem.max_wal_rate"));
}

/*-------------------------------------------------------------------------
 * The lag of standbys and replication slots.
 *
 * Lag in bytes is checked for all of them: for standbys that replay, and for
 * slots, since the server keeps WAL for a slot even if no consumer connects,
 * and could fill the disk.
 *
 * Lag in time is checked only for those that replay.  The server's replay_lag
 * does not grow while a standby is stuck.  So we note positions of WAL with
 * their time; the lag is the age of the oldest note not replayed yet.  For
 * other slots this does not work: pg_receivewal confirms whole segments, some
 * consumers confirm only changes that concern them, and on a quiet server,
 * while we wait, none may come.
 *-------------------------------------------------------------------------
 */

#define NOTES 128

typedef struct WalNote
{
	double		at;
	XLogRecPtr	position;
} WalNote;

typedef struct LagSource
{
	char	   *title;			/* for messages */
	char	   *name;			/* as in tandem.lag_sources */
	XLogRecPtr	position;		/* WAL before this is replayed, or not needed */
	bool		replays;		/* replays WAL, so its lag has a time */
	bool		by_segment;		/* may confirm whole segments only */
} LagSource;

/*
 * ring buffer, oldest first; per process, as it works on one table after
 * another
 */
static WalNote notes[NOTES];
static int	first_note = 0;
static int	note_count = 0;

static WalNote *
wal_note(int i)
{
	return &notes[(first_note + i) % NOTES];
}

/*
 * Returns the interval between notes in seconds: one second, or more so that
 * the ring covers twice max_lag_time.
 */
static double
wal_note_interval(void)
{
	return Max(1.0, setting_max_lag_time * 2.0 / NOTES);
}

void
replication_lag_sample(double now)
{
	if (note_count > 0 &&
		now - wal_note(note_count - 1)->at < wal_note_interval())
		return;
	if (RecoveryInProgress())
		return;
	if (note_count == NOTES)
		first_note = (first_note + 1) % NOTES;
	else
		note_count++;
	wal_note(note_count - 1)->at = now;
	/* WAL is not sent before it is flushed */
	wal_note(note_count - 1)->position = GetFlushRecPtr(NULL);
}

static double
seconds_behind_wal(XLogRecPtr position, double now)
{
	for (int i = 0; i < note_count; i++)
	{
		if (wal_note(i)->position > position)
			return now - wal_note(i)->at;
	}
	return 0;
}

static void *
read_lag_source(uint64 row)
{
	LagSource  *source = palloc(sizeof(LagSource));

	source->title = query_get_text(row, 1);
	source->name = query_get_text(row, 2);
	source->position = query_get_bigint(row, 3);
	source->replays = query_get_bool(row, 4);
	source->by_segment = query_get_bool(row, 5);
	return source;
}

/*
 * Returns LagSource structs in the caller's memory context, largest lag first.
 */
static List *
list_lag_sources(void)
{
	TandemQuery query;
	List	   *sources;

	query_begin(&query);
	sources = query_rows(&query,
						 "SELECT title, name, position, replays, by_segment FROM tandem._lag_sources ORDER BY position",
						 read_lag_source);
	query_end(&query);
	return sources;
}

static char *
lag_source_reason(const LagSource *source, XLogRecPtr current, double now)
{
	int64		bytes = current > source->position ? current - source->position : 0;
	int64		limit = setting_max_lag_size * INT64CONST(1024);
	double		seconds;

	if (source->by_segment)
		limit += wal_segment_size;
	if (setting_max_lag_size > 0 && bytes > limit)
		return psprintf("%s is %s behind (%s)", source->title,
						text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
																		   Int64GetDatum(bytes)))),
						settings_show("tandem.max_lag_size"));
	seconds = seconds_behind_wal(source->position, now);
	if (source->replays && setting_max_lag_time > 0 &&
		seconds > setting_max_lag_time)
		return psprintf("%s is %.0f s behind (%s)", source->title, seconds,
						settings_show("tandem.max_lag_time"));
	return NULL;
}

char *
replication_lag_reason(double now)
{
	XLogRecPtr	current;
	ListCell   *lc;

	if ((setting_max_lag_size == 0 && setting_max_lag_time == 0) ||
		!settings_any_lag_counts() || RecoveryInProgress())
		return NULL;
	current = GetFlushRecPtr(NULL);
	foreach(lc, list_lag_sources())
	{
		LagSource  *source = lfirst(lc);
		char	   *reason = lag_source_reason(source, current, now);

		if (reason && settings_lag_counts(source->name))
			return reason;
	}
	return NULL;
}

/*-------------------------------------------------------------------------
 * Asking the user's function whether a fill must wait.
 *
 * Any role that may run the migration calls it, perhaps a superuser.  So it
 * runs with the rights of the role that configured it, in a
 * security-restricted operation, with the search_path of the session that
 * configured it.
 *-------------------------------------------------------------------------
 */

#define HINT "Set tandem.hold_function to the name of a function without arguments that returns boolean or text, or to '' for none."

/* the command must not lead a superuser to trust a function of another role */
#define CONFIGURE_HINT "Run SELECT tandem.configure(%s, 'tandem.hold_function', NULL); or, instead of NULL, name a function that may have your own rights."

/* for a function set as a default of the server or database */
#define FIXED_SEARCH_PATH "pg_catalog"

static void
refuse_missing_function(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("function %s() does not exist", name),
			 errhint(HINT)));
}

typedef struct Hold
{
	const char *name;
	Oid			role;			/* it runs with the rights of this role */
	const char *role_name;
	const char *search_path;	/* NULL for the session's own */
} Hold;

Oid
hold_function_find(const char *name)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(name));
	Oid			funcid = LookupFuncName(names, 0, NULL, true);
	Oid			type;

	if (!OidIsValid(funcid))
		refuse_missing_function(name);
	type = get_func_rettype(funcid);
	if (get_func_prokind(funcid) != PROKIND_FUNCTION ||
		get_func_retset(funcid) || (type != BOOLOID && type != TEXTOID))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s() is not a function that returns boolean or text",
						name),
				 errhint(HINT)));
	return funcid;
}

Oid
hold_function_owner(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

char *
hold_function_name(Oid funcid, const char *wanted)
{
	char	   *schema = quoting_find_schema(get_func_namespace(funcid));
	char	   *name = get_func_name(funcid);

	/* it was dropped since it was found */
	if (schema == NULL || name == NULL)
		refuse_missing_function(wanted);
	return quote_qualified_identifier(schema, name);
}

static char *
hold_reason_of_result(const Hold *hold, Oid type, const char *function)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull);
	const char *said = "";

	if (isnull || (type == BOOLOID && !DatumGetBool(value)))
		return NULL;
	if (type == TEXTOID)
		said = TextDatumGetCString(value);
	if (said[0] == '\0')
		said = psprintf("%s() returned true", function);
	return psprintf("%s (%s = %s)", said, HOLD_FUNCTION_SETTING, hold->name);
}

static char *
call_hold_function(const Hold *hold, Oid funcid, MemoryContext caller)
{
	char	   *function = hold_function_name(funcid, hold->name);
	char	   *reason = NULL;

	SPI_connect();
	/* a background worker has no portal, so SPI has no snapshot to use */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(psprintf("SELECT %s()", function), false, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		reason = hold_reason_of_result(hold, get_func_rettype(funcid),
									   function);
	if (reason)
		reason = MemoryContextStrdup(caller, reason);
	PopActiveSnapshot();
	SPI_finish();
	return reason;
}

/*
 * Errors must say that the user's function failed, whatever the message is.
 * The role's name was looked up before: after an error no catalog can be read.
 */
static void
rethrow_with_function_name(MemoryContext context, const Hold *hold)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	error->context = psprintf("%s%s%s = %s",
							  error->context ? error->context : "",
							  error->context ? "\n" : "",
							  HOLD_FUNCTION_SETTING, hold->name);
	if (error->hint == NULL &&
		!error_is_intervention(error))
		error->hint = psprintf("The function that tandem.hold_function names is called as role %s: fix it, or grant that role what it needs, or set tandem.hold_function to ''.",
							   quote_identifier(hold->role_name));
	ReThrowError(error);
}

/* The name may have been taken over by another role's function since. */
static void
check_hold_owner(const Migration *migration, const RunControl *control,
				 const char *name, Oid funcid)
{
	if (OidIsValid(control->hold_owner) &&
		hold_function_owner(funcid) == control->hold_owner)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("function %s() has another owner than when it was configured",
					name),
			 errdetail("It would have the rights of role \"%s\".",
					   control->hold_by_name),
			 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
}

static void
read_configured_hold(const Migration *migration, const RunControl *control,
					 Hold *hold)
{
	bool		gone = !OidIsValid(control->hold_by);

	/*
	 * after a restore by the database's owner the configuring role is not
	 * known
	 */
	if (control->hold_by_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("it is not known who configured tandem.hold_function for migration \"%s\"",
						migration->name),
				 errdetail("The function has the rights of that role."),
				 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
	if (gone || !migration_role_may_act(migration, control->hold_by))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 gone
				 ? errmsg("role \"%s\", which configured tandem.hold_function for migration \"%s\", is gone",
						  control->hold_by_name, migration->name)
				 : errmsg("role \"%s\", which configured tandem.hold_function for migration \"%s\", may no longer act on it",
						  control->hold_by_name, migration->name),
				 errdetail("The function has the rights of that role."),
				 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
	hold->role = control->hold_by;
	hold->search_path = control->hold_path;
}

/*
 * Where the setting comes from decides whose rights the function has: those of
 * the session, role or database owner that can set it there.  If it is set for
 * the whole server, it has only the rights of the table's owner.
 */
static void
read_session_hold(Oid relid, Hold *hold)
{
	struct config_generic *setting = compat_find_setting(HOLD_FUNCTION_SETTING);

	switch (setting->source)
	{
		case PGC_S_CLIENT:
		case PGC_S_OVERRIDE:
		case PGC_S_INTERACTIVE:
		case PGC_S_TEST:
		case PGC_S_SESSION:
			hold->role = setting->srole;
			break;
		case PGC_S_USER:
		case PGC_S_DATABASE_USER:
			hold->role = GetSessionUserId();
			break;
		case PGC_S_DATABASE:
			hold->role = authority_database_owner();
			break;
		default:
			hold->role = authority_owner_of(relid);
			break;
	}
	/* search_path may have been set by another role */
	hold->search_path = hold->role == GetUserId() ? NULL : FIXED_SEARCH_PATH;
}

static bool
find_hold_function(const Migration *migration, const RunControl *control,
				   Oid relid, Hold *hold)
{
	hold->name = control->hold_function ? control->hold_function
		: setting_hold_function;
	if (hold->name[0] == '\0')
		return false;
	if (control->hold_function)
		read_configured_hold(migration, control, hold);
	else
		read_session_hold(relid, hold);
	/* a table that was dropped does not have to wait */
	if (!OidIsValid(hold->role))
		return false;
	hold->role_name = GetUserNameFromId(hold->role, true);
	if (hold->role_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that has set tandem.hold_function is gone"),
				 errhint("Set it again, or RESET tandem.hold_function.")));
	return true;
}

char *
hold_function_reason(const Migration *migration, const RunControl *control,
					 Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	AuthorityScope scope;
	Hold		hold;
	char	   *volatile reason = NULL;

	if (!find_hold_function(migration, control, relid, &hold))
		return NULL;
	authority_enter_role(&scope, hold.role, hold.search_path);
	PG_TRY();
	{
		Oid			funcid = hold_function_find(hold.name);

		if (control->hold_function)
			check_hold_owner(migration, control, hold.name, funcid);
		reason = call_hold_function(&hold, funcid, caller);
	}
	PG_CATCH();
	{
		rethrow_with_function_name(caller, &hold);
	}
	PG_END_TRY();
	authority_leave(&scope);
	return reason;
}
