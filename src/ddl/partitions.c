/*
 * partitions.c
 *		A table and its partitions.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"

#include "ddl/partitions.h"

List *
table_tree(Oid relid)
{
	return find_all_inheritors(relid, NoLock, NULL);
}

List *
table_leaves(Oid relid)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			leaves = lappend_oid(leaves, lfirst_oid(lc));
	}
	return leaves;
}

Oid
table_root(Oid relid)
{
	List	   *ancestors = get_rel_relispartition(relid)
	? get_partition_ancestors(relid) : NIL;

	return ancestors == NIL ? relid : llast_oid(ancestors);
}
