/*
 * replicated_table.c
 *		What logical replication asks of a table before it is migrated.
 *
 * The fill writes every row, and a row that is filled on one server alone is
 * another row to who compares whole rows.  What that breaks would show at the
 * first batch, or never: so it is said at expand.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_publication.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/quoting.h"
#include "ddl/partitions.h"
#include "ddl/replicated_table.h"

/* Whether an UPDATE or DELETE is sent with the whole old row and no key. */
static bool
is_sent_without_key(Relation rel)
{
	PublicationDesc published;

	if (rel->rd_rel->relreplident != REPLICA_IDENTITY_FULL ||
		OidIsValid(compat_primary_key_index(rel)))
		return false;
	RelationBuildPublicationDesc(rel, &published);
	return published.pubactions.pubupdate || published.pubactions.pubdelete;
}

static void
warn_of_lost_changes(Oid relid)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("table \"%s\" is published with REPLICA IDENTITY FULL and has no primary key",
					get_rel_name(relid)),
			 errdetail("A subscriber that has no key either finds the row of an UPDATE or DELETE by all columns. Where it fills the new columns itself, and only one of the two servers has filled them, it finds none, and the change is lost there without an error."),
			 errhint("Add a primary key on the subscribers before they expand, or expand here only, so that the fill is sent to them: ALTER TABLE %s ADD PRIMARY KEY (...);",
					 quoting_relation(relid))));
}

void
replicated_table_check(Oid relid)
{
	bool		keyless = false;
	ListCell   *lc;

	foreach(lc, table_leaves(relid))
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		CheckCmdReplicaIdentity(leaf, CMD_UPDATE);
		subscription_check_key(leaf);
		keyless |= is_sent_without_key(leaf);
		table_close(leaf, NoLock);
	}
	if (keyless)
		warn_of_lost_changes(relid);
}
