/*
 * subscription.c
 *		Subscriptions by which rows of other servers arrive in a table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_subscription_rel.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/quoting.h"

static void
look_at_subscription(Oid subid, TableSubscription *found)
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
look_at_table(Oid relid, TableSubscription *found)
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
		look_at_subscription(((Form_pg_subscription_rel) GETSTRUCT(tuple))->srsubid,
							 found);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

TableSubscription
subscription_of(Oid relid)
{
	TableSubscription found = {0};
	ListCell   *lc;

	look_at_table(relid, &found);
	/* what is published as of the partitioned table arrives there */
	if (get_rel_relispartition(relid))
	{
		foreach(lc, get_partition_ancestors(relid))
			look_at_table(lfirst_oid(lc), &found);
	}
	return found;
}

/*
 * Where the publisher has REPLICA IDENTITY FULL and this table no key of its
 * own, apply compares all columns of the row, those of the migration as well:
 * once they are filled here and not there, or there and not here, it finds
 * nothing, and passes the change over in silence.  The publisher's identity is
 * not known here; but without FULL no UPDATE or DELETE could be applied at all.
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
