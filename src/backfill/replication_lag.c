/*
 * replication_lag.c
 *		How far standbys and replication slots are behind.
 *
 * Bytes behind are asked of all: what replays, and slots, for which the server
 * keeps WAL even if nobody comes for it: writing on would fill the disk.
 *
 * Time behind is told of what replays only.  replay_lag of the server's view
 * stands still when the standby does; so we note where WAL was when, and the
 * time behind is the age of the oldest note that is not replayed yet.  A slot
 * has no such time: pg_receivewal confirms whole segments, some consumers only
 * what concerns them, and on a quiet server, where we hold, that never comes.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/builtins.h"

#include "backfill/replication_lag.h"
#include "core/query.h"
#include "core/settings.h"

#define NOTES 128

typedef struct WalNote
{
	double		at;
	XLogRecPtr	position;
} WalNote;

typedef struct LagSource
{
	char	   *title;			/* for people */
	char	   *name;			/* to be found in tandem.lag_sources */
	XLogRecPtr	position;		/* all before it is replayed, or not needed */
	bool		replays;		/* so that it can be late */
	bool		by_segment;		/* it may confirm whole segments only */
} LagSource;

/* of the process, which goes from table to table: a ring, oldest first */
static WalNote notes[NOTES];
static int	first_note = 0;
static int	note_count = 0;

static WalNote *
note(int i)
{
	return &notes[(first_note + i) % NOTES];
}

/* Once a second, or so that the ring goes back twice the time that matters. */
static double
note_interval(void)
{
	return Max(1.0, setting_max_lag_time * 2.0 / NOTES);
}

void
replication_lag_sample(double now)
{
	if (note_count > 0 && now - note(note_count - 1)->at < note_interval())
		return;
	if (RecoveryInProgress())
		return;
	if (note_count == NOTES)
		first_note = (first_note + 1) % NOTES;
	else
		note_count++;
	note(note_count - 1)->at = now;
	/* what is not flushed is sent to nobody */
	note(note_count - 1)->position = GetFlushRecPtr(NULL);
}

static double
seconds_behind(XLogRecPtr position, double now)
{
	for (int i = 0; i < note_count; i++)
	{
		if (note(i)->position > position)
			return now - note(i)->at;
	}
	return 0;
}

/*
 * Base backups replay nothing, and pg_receivewal neither: they count by their
 * slot.  A slot that lost its WAL keeps none any more.
 */
static const char *const lag_sources_sql =
"SELECT format('%s \"%s\"', CASE WHEN s.slot_type = 'logical' THEN 'subscriber' ELSE 'standby' END, r.name), "
"r.name, (r.replay_lsn - '0/0')::bigint AS position, true, false "
"FROM (SELECT *, coalesce(nullif(application_name, ''), 'pid ' || pid) AS name FROM pg_stat_replication) r "
"LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid "
"WHERE r.state IN ('catchup', 'streaming') AND r.replay_lsn IS NOT NULL "
"UNION ALL "
"SELECT format('%s slot \"%s\"%s', slot_type, slot_name, "
"CASE WHEN NOT active THEN ' (inactive)' WHEN temporary THEN ' (temporary)' END), "
"slot_name, (coalesce(confirmed_flush_lsn, restart_lsn) - '0/0')::bigint, false, slot_type = 'physical' "
"FROM pg_replication_slots "
"WHERE restart_lsn IS NOT NULL AND wal_status IS DISTINCT FROM 'lost' "
"ORDER BY position";

/* In the context of the caller, furthest behind first. */
static List *
list_sources(void)
{
	TandemQuery query;
	List	   *sources = NIL;
	uint64		rows;

	query_begin(&query);
	rows = query_run(&query, lag_sources_sql);
	for (uint64 row = 0; row < rows; row++)
	{
		LagSource  *source = palloc(sizeof(LagSource));

		source->title = query_get_text(row, 1);
		source->name = query_get_text(row, 2);
		source->position = query_get_bigint(row, 3);
		source->replays = query_get_bool(row, 4);
		source->by_segment = query_get_bool(row, 5);
		sources = lappend(sources, source);
	}
	query_end(&query);
	return sources;
}

static char *
reason_of_source(const LagSource *source, XLogRecPtr current, double now)
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
	seconds = seconds_behind(source->position, now);
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
	foreach(lc, list_sources())
	{
		LagSource  *source = lfirst(lc);
		char	   *reason = reason_of_source(source, current, now);

		if (reason && settings_lag_counts(source->name))
			return reason;
	}
	return NULL;
}
