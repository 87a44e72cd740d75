/*
 * partitions.h
 *		A table and its partitions.
 */
#ifndef TANDEM_PARTITIONS_H
#define TANDEM_PARTITIONS_H

#include "nodes/pg_list.h"

/* relid and all its partitions, as OIDs; takes no lock. */
extern List *table_tree(Oid relid);

/* The leaf tables of relid: itself where it is not partitioned. */
extern List *table_leaves(Oid relid);

/* The partitioned table at the top of relid, or relid itself. */
extern Oid	table_root(Oid relid);

#endif							/* TANDEM_PARTITIONS_H */
