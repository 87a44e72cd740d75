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
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/subscription.h"
#include "core/compat.h"
#include "core/quoting.h"
#include "ddl/partitions.h"
#include "ddl/replicated_table.h"

/* What is wrong with how a table sends its changes. */
typedef struct SendProblems
{
	bool		cannot;			/* an UPDATE of it fails, and so will the fill */
	bool		keyless;		/* the whole old row is sent, and no key */
} SendProblems;

static void
look_at_publications(Relation rel, SendProblems *problems)
{
	PublicationDesc published;
	bool		full = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;

	if (full ? OidIsValid(compat_primary_key_index(rel))
		: OidIsValid(RelationGetReplicaIndex(rel)))
		return;
	RelationBuildPublicationDesc(rel, &published);
	if (!full)
		problems->cannot |= published.pubactions.pubupdate;
	else
		problems->keyless |= published.pubactions.pubupdate ||
			published.pubactions.pubdelete;
}

static void
warn_of_failure(Oid relid)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("table \"%s\" does not have a replica identity and publishes updates",
					quoting_shown_name(relid)),
			 errdetail("The backfill will fail as any UPDATE of the table does."),
			 errhint("Before migrate, give the table and each of its partitions a primary key, or set REPLICA IDENTITY USING INDEX.")));
}

static void
warn_of_lost_changes(Oid relid)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("table \"%s\" is published with REPLICA IDENTITY FULL and has no primary key",
					quoting_shown_name(relid)),
			 errdetail("A subscriber that has no key either finds the row of an UPDATE or DELETE by all columns. Where it fills the new columns itself, and only one of the two servers has filled them, it finds none, and the change is lost there without an error."),
			 errhint("Before a subscriber expands as well, add a primary key to the table there.")));
}

void
replicated_table_check(Oid relid)
{
	SendProblems problems = {0};
	ListCell   *lc;

	foreach(lc, table_leaves(relid))
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		subscription_check_key(leaf);
		look_at_publications(leaf, &problems);
		table_close(leaf, NoLock);
	}
	if (problems.cannot)
		warn_of_failure(relid);
	if (problems.keyless)
		warn_of_lost_changes(relid);
}
