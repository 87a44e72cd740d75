/*
 * subscription.c
 *		Logical replication: subscriptions of a table; exclusion of our
 *		tables.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/sql_function.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * Subscriptions that apply changes of other servers to a table.
 *-------------------------------------------------------------------------
 */

static void
read_subscription(Oid subid, TableSubscription *found)
{
	HeapTuple	tuple = SearchSysCache1(SUBSCRIPTIONOID,
										ObjectIdGetDatum(subid));
	bool		local_only;

	/* dropped meanwhile */
	if (!HeapTupleIsValid(tuple))
		return;
	local_only = compat_subscription_is_local_only(tuple);
	if (found->name == NULL || (local_only && !found->local_only))
	{
		found->name = pstrdup(NameStr(((Form_pg_subscription) GETSTRUCT(tuple))->subname));
		found->local_only = local_only;
	}
	ReleaseSysCache(tuple);
}

static void
read_table_subscriptions(Oid relid, TableSubscription *found)
{
	Relation	catalog = table_open(SubscriptionRelRelationId,
									 AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_subscription_rel_srrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, SubscriptionRelSrrelidSrsubidIndexId,
							  true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		read_subscription(((Form_pg_subscription_rel) GETSTRUCT(tuple))->srsubid,
						  found);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

TableSubscription
subscription_of(Oid relid)
{
	TableSubscription found = {0};
	ListCell   *lc;

	read_table_subscriptions(relid, &found);
	/* changes may be published as those of the partitioned table */
	if (get_rel_relispartition(relid))
	{
		foreach(lc, get_partition_ancestors(relid))
			read_table_subscriptions(lfirst_oid(lc), &found);
	}
	return found;
}

/*
 * If the publisher has REPLICA IDENTITY FULL and this table has no key, apply
 * compares all columns of the row, including those of the migration.  While
 * they are filled on one side only, it does not find the row and silently
 * skips the change.  The publisher's replica identity is not known here; but
 * without FULL no UPDATE or DELETE could be applied anyway.
 */
void
subscription_check_key(Relation rel)
{
	TableSubscription subscription;

	if (OidIsValid(RelationGetReplicaIndex(rel)) ||
		OidIsValid(compat_primary_key_index(rel)) ||
		rel->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING)
		return;
	subscription = subscription_of(RelationGetRelid(rel));
	if (subscription.name == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is replicated by subscription \"%s\" and has neither a primary key nor a replica identity index",
					RelationGetRelationName(rel), subscription.name),
			 errdetail("An UPDATE or DELETE of a publisher with REPLICA IDENTITY FULL finds its row here by all columns. Where only one of the two servers has filled the new columns it would find none, and be lost without an error."),
			 errhint("Add a primary key, or set REPLICA IDENTITY USING INDEX. If only INSERTs arrive, run ALTER TABLE %s REPLICA IDENTITY NOTHING;",
					 quoting_relation(RelationGetRelid(rel)))));
}

/*-------------------------------------------------------------------------
 * Keeping the tables of schema tandem out of logical replication.
 *
 * A publication FOR ALL TABLES includes them, and versions 15 to 18 cannot
 * exclude them.  What they say holds for one server only: which blocks are
 * filled here, which trigger verified them.  So each has a trigger that skips
 * rows from an apply worker or from the initial copy of a subscription.  As an
 * ENABLE REPLICA trigger it is not called for other writes.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_ignore_replicated);

/*
 * BEFORE ROW: skips the row if it comes from another server.  But a query of
 * ours within the apply worker is kept: applying a row of a user's table fires
 * the sync trigger, which may record something (the quarantine).
 *
 * BEFORE TRUNCATE: always an error.  It could not be skipped where it arrives,
 * so it is prevented where it would be sent from.
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
publications_with_own_tables(void)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	names = query_texts(&query,
						"SELECT name::text FROM tandem._own_publications p ORDER BY p.name");
	query_end(&query);
	return names;
}

void
own_tables_warn_published(void)
{
	List	   *names = publications_with_own_tables();
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
