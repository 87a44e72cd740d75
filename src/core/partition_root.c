/*
 * partition_root.c
 *		The table that a partition belongs to.
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/partition.h"
#include "utils/lsyscache.h"

#include "core/partition_root.h"

Oid
partition_root(Oid relid)
{
	while (get_rel_relispartition(relid))
	{
		/* of a partition it is one, whether it is being detached or not */
		if (!has_superclass(relid))
			break;
		relid = get_partition_parent(relid, true);
	}
	return relid;
}
