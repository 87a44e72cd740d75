/*
 * partitions.c
 *		A table and its partitions.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"

#include "core/partition_root.h"
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
	return partition_root(relid);
}
