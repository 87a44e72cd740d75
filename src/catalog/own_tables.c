/*
 * own_tables.c
 *		Keeps the tables of schema tandem out of logical replication.
 *
 * A publication FOR ALL TABLES has them in it, and no server from 15 to 18 can
 * leave them out.  What they say is true of one server alone: which blocks are
 * filled here, which trigger proved it.  So each of them has a trigger that
 * passes over what an apply worker or the first copy of a subscription brings.
 * As an ENABLE REPLICA trigger it is not called for anybody else's writes.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"

#include "catalog/own_tables.h"
#include "core/query.h"
#include "core/sql_function.h"

SQL_FUNCTION(tandem_ignore_replicated);

/*
 * BEFORE ROW: no row when it comes from another server.  A row of a user's
 * table that is applied may have the sync trigger note something of its own
 * (the quarantine): that is a query of ours within the apply worker, and stays.
 *
 * BEFORE TRUNCATE: always an error.  It could not be passed over where it
 * arrives; so it is stopped where it would be sent from.
 */
Datum
tandem_ignore_replicated(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.ignore_replicated() can only be called as a BEFORE trigger"),
				 errhint("Its triggers are created by CREATE EXTENSION pg_tandem.")));
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot truncate table \"%s\" of extension pg_tandem",
						RelationGetRelationName(data->tg_relation)),
				 errhint("Call tandem.abort or tandem.contract to end a migration.")));
	if (IsLogicalWorker() && !query_is_running())
		return PointerGetDatum(NULL);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(data->tg_event)
						   ? data->tg_newtuple : data->tg_trigtuple);
}

static List *
publications(void)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	names = query_texts(&query,
						"SELECT p.pubname::text FROM pg_publication p "
						"WHERE p.puballtables OR EXISTS ("
						"SELECT FROM pg_publication_namespace n WHERE n.pnpubid = p.oid "
						"AND n.pnnspid = 'tandem'::regnamespace) OR EXISTS ("
						"SELECT FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid "
						"WHERE r.prpubid = p.oid AND c.relnamespace = 'tandem'::regnamespace) "
						"ORDER BY p.pubname");
	query_end(&query);
	return names;
}

void
own_tables_warn_published(void)
{
	List	   *names = publications();
	StringInfoData list;
	ListCell   *lc;

	if (names == NIL)
		return;
	initStringInfo(&list);
	foreach(lc, names)
		appendStringInfo(&list, "%s\"%s\"", list.len ? ", " : "",
						 (char *) lfirst(lc));
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_plural("publication %s has tables of schema tandem in it",
						   "publications %s have tables of schema tandem in them",
						   list_length(names), list.data),
			 errdetail("A subscriber with pg_tandem ignores their rows. On a subscriber without it replication stops: logical replication target relation \"tandem.migration\" does not exist."),
			 errhint("Run CREATE EXTENSION pg_tandem on each subscriber before you commit this, or have it subscribe to a publication of your own tables or schemas: CREATE PUBLICATION ... FOR TABLES IN SCHEMA ...;")));
}
