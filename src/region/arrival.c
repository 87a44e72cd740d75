/*
 * arrival.c
 *		The row of another region arrives.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "catalog/after_switch.h"
#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "core/query.h"
#include "core/sql_function.h"
#include "run/beat.h"

SQL_FUNCTION(tandem_region_arrives);

typedef struct Arrival
{
	char	   *own;			/* the region that this database is, or NULL */
	char	   *name;			/* the region that the row is of */
	Datum		row;			/* a tandem.region */
	Oid			type;			/* of the row */
	Oid			subscription;
} Arrival;

static void
begin_arrival_query(TandemQuery *query, const Arrival *arrival)
{
	query_begin(query);
	query_datum(query, arrival->type, arrival->row, false);
	query_oid(query, arrival->subscription);
}

/*
 * Is there another database that says it is this region?  What has gone round is
 * the own row.
 */
static void
doubt_own_name(const Arrival *arrival)
{
	TandemQuery query;

	begin_arrival_query(&query, arrival);
	(void) query_run(&query,
					 "UPDATE tandem.region r SET doubt = format('another database says that it is region %s, too, by subscription %s', r.region, "
					 "(SELECT s.subname FROM pg_subscription s WHERE s.oid = $2)) FROM (SELECT ($1).*) n "
					 "WHERE r.region = n.region AND r.doubt IS NULL AND (r.system_identifier, r.database) IS DISTINCT FROM (n.system_identifier, n.database)");
	query_end(&query);
}

/* What sends it is a copy of the region, or it was restored from a backup. */
static void
doubt_region(const Arrival *arrival)
{
	TandemQuery query;

	begin_arrival_query(&query, arrival);
	(void) query_run(&query,
					 "UPDATE tandem.region r SET subscription = $2, heard_at = clock_timestamp(), "
					 "doubt = format('says what it said before (%s after %s): it was restored from a backup, or copied; call tandem.join_region() there', n.seq, r.seq) "
					 "FROM (SELECT ($1).*) n WHERE r.region = n.region");
	query_end(&query);
}

/*
 * Takes the row, unless a later one was there.  Returns whether it announces
 * something that is to be answered.
 */
static bool
take_region(const Arrival *arrival)
{
	TandemQuery query;
	bool		taken;
	bool		unseen = false;
	bool		turned = false;

	begin_arrival_query(&query, arrival);
	taken = query_run(&query,
					  "WITH known AS MATERIALIZED (SELECT r.intent, r.current FROM tandem.region r, (SELECT ($1).*) n WHERE r.region = n.region) "
					  "INSERT INTO tandem.region AS r (region, system_identifier, database, seq, expanded, ready, current, lowest, phases, keys, progress, "
					  "intent, intent_release, seen, at, subscription, heard_at) "
					  "SELECT n.region, n.system_identifier, n.database, n.seq, n.expanded, n.ready, n.current, n.lowest, n.phases, n.keys, n.progress, "
					  "n.intent, n.intent_release, n.seen, n.at, $2, clock_timestamp() FROM (SELECT ($1).*) n "
					  "ON CONFLICT (region) DO UPDATE SET system_identifier = excluded.system_identifier, database = excluded.database, "
					  "seq = excluded.seq, expanded = excluded.expanded, ready = excluded.ready, current = excluded.current, "
					  "lowest = excluded.lowest, phases = excluded.phases, keys = excluded.keys, progress = excluded.progress, intent = excluded.intent, "
					  "intent_release = excluded.intent_release, seen = excluded.seen, at = excluded.at, "
					  "subscription = excluded.subscription, heard_at = excluded.heard_at, doubt = NULL "
					  "WHERE excluded.seq >= r.seq "
					  "RETURNING r.intent IS NOT NULL AND r.intent IS DISTINCT FROM (SELECT k.intent FROM known k), "
					  "EXISTS (SELECT FROM known k WHERE k.current > coalesce(r.current, 0))") > 0;
	if (taken)
	{
		unseen = query_get_bool(0, 1);
		turned = query_get_bool(0, 2);
	}
	query_end(&query);
	if (turned)
		after_switch_turned_region(arrival->name);
	if (!taken)
		doubt_region(arrival);
	return unseen;
}

static void
forget_region(const char *name)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, name);
	(void) query_run(&query, "DELETE FROM tandem.region WHERE region = $1");
	query_end(&query);
	after_switch_turned_region(name);
}

/* The rows of tables that came before in its stream are here already. */
static void
apply_arrival(const Arrival *arrival, bool deleted)
{
	bool		unseen = false;

	if (arrival->own && strcmp(arrival->own, arrival->name) == 0)
	{
		if (!deleted)
			doubt_own_name(arrival);
		return;
	}
	if (deleted)
		forget_region(arrival->name);
	else
		unseen = take_region(arrival);
	/* a release may be ready now */
	registry_look_for_ready();
	if (unseen && arrival->own)
		beat_after_transaction();
}

/*
 * BEFORE ROW, of what another server sends: it is done here, and skipped there.
 * What the extension itself writes meanwhile is written.
 */
Datum
tandem_region_arrives(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	Arrival		arrival;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.region_arrives() can only be called as a BEFORE ROW trigger"),
				 errhint("Its trigger is created by CREATE EXTENSION pg_tandem.")));
	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	if (!IsLogicalWorker() || query_is_running())
		return PointerGetDatum(tuple);
	arrival.own = region_here();
	arrival.name = SPI_getvalue(tuple, RelationGetDescr(data->tg_relation),
								SPI_fnumber(RelationGetDescr(data->tg_relation), "region"));
	arrival.row = heap_copy_tuple_as_datum(tuple, RelationGetDescr(data->tg_relation));
	arrival.type = data->tg_relation->rd_rel->reltype;
	arrival.subscription = MyLogicalRepWorker->subid;
	apply_arrival(&arrival, TRIGGER_FIRED_BY_DELETE(data->tg_event));
	return PointerGetDatum(NULL);
}
