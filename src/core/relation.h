/*
 * relation.h
 *		Relations: partitions, the table at their top, and access block by
 *		block.
 */
#ifndef TANDEM_RELATION_H
#define TANDEM_RELATION_H

#include "access/tableam.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * What a partition, or an index of one, is attached to, also while it is being
 * detached; InvalidOid: nothing, or it is gone.
 */
extern Oid	partition_parent(Oid relid);

/*
 * The partitioned table above all others that relid is part of, or relid
 * itself.  A partition that DETACH CONCURRENTLY is about to take away belongs
 * to it until that has ended, though the server's list of its ancestors is
 * empty by then.
 */
extern Oid	partition_root(Oid relid);

/*
 * Errors unless the rows of each relation of the OID list, which may include
 * partitioned tables, can be filled and proved: their table access method has
 * TID range scans, and no extension keeps the rows elsewhere.  Takes no lock
 * on them.
 */
extern void table_rows_check(List *relids);

/*
 * Errors if the rows of any of these tables, or of one that it is a partition
 * of, are elsewhere: it is a foreign table, or an extension keeps them.
 */
extern void table_rows_check_local(List *tables);

/* What keeps the rows of the table elsewhere by its kind, for people; or NULL. */
extern char *table_rows_problem(Oid relid);

/*
 * Begins a scan of the blocks first to last, under the active snapshot.  The
 * only way to begin one: errors where the table access method has none, which
 * the server leaves to its callers to look at.
 */
extern TableScanDesc table_rows_begin_scan(Relation rel, BlockNumber first,
										   BlockNumber last);

/*
 * Opens a relation that nobody has locked yet: an error with a hint where it was
 * dropped meanwhile, which of a relation in our tables is no corruption.
 */
extern Relation relation_open_present(Oid relid, LOCKMODE mode);

/* The partitions right below relid, or children; NIL of one that is gone. */
extern List *table_children(Oid relid);

/*
 * relid and all its partitions, as OIDs; takes no lock.  NIL where relid is
 * gone.
 */
extern List *table_tree(Oid relid);

/* The leaf tables of relid: itself where it is not partitioned. */
extern List *table_leaves(Oid relid);

/* The partitioned table at the top of relid, or relid itself. */
extern Oid	table_root(Oid relid);

#endif							/* TANDEM_RELATION_H */
