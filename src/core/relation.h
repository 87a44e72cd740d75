/*
 * relation.h
 *		Partition trees, and access to tables block by block.
 */
#ifndef TANDEM_RELATION_H
#define TANDEM_RELATION_H

#include "access/tableam.h"
#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * What a partition, or an index of one, is attached to, also while it is being
 * detached; InvalidOid: nothing, or it is gone.
 */
extern Oid	partition_parent(Oid relid);

/*
 * Returns the topmost partitioned table above relid, or relid itself.  While
 * DETACH CONCURRENTLY is in progress, the partition still belongs to it,
 * although the server returns no ancestors then.
 */
extern Oid	table_root(Oid relid);

/* Does the relation exist, as far as this transaction sees? */
extern bool relation_exists(Oid relid);

/*
 * Returns the hint of an error about a column that relid does not have: the one that may
 * be meant, else how to add it.
 */
extern char *relation_missing_column_hint(Oid relid, const char *column);

/* Returns its relpersistence, or 0 if it is gone: the server's function throws an internal error. */
extern char relation_persistence(Oid relid);

/*
 * Throws an error unless the rows of each relation of the OID list (which may
 * include partitioned tables) can be filled and verified: the table access
 * method supports TID range scans, and no extension keeps the rows elsewhere.
 * Takes no lock.
 */
extern void table_rows_check(List *relids);

/*
 * Throws an error if the rows of a table, or of one that it is a partition of,
 * are elsewhere: it is a foreign table, or an extension keeps them.
 */
extern void table_rows_check_local(List *tables);

/*
 * Returns why a table of this kind has its rows elsewhere, palloc'd, or NULL.
 */
extern char *table_rows_problem(Oid relid);

/*
 * Begins a scan of the blocks first to last with the active snapshot.  No
 * other code begins such scans.  Throws an error if the table access method
 * does not support them, which the server leaves to its callers to test.
 */
extern TableScanDesc table_rows_begin_scan(Relation rel, BlockNumber first,
										   BlockNumber last);

/*
 * Has the block of a heap that is written to the WAL been changed after that place in
 * the WAL?
 */
extern bool heap_block_is_newer(Relation rel, BlockNumber block, XLogRecPtr than);

/*
 * Opens a relation that nobody has locked yet: an error with a hint where it was
 * dropped meanwhile, which of a relation in our tables is no corruption.
 */
extern Relation relation_open_present(Oid relid, LOCKMODE mode);

/*
 * Opens a leaf table in order to work on its rows, outside a statement.  Of a
 * partition it locks the topmost table first, in ACCESS SHARE mode: rules may
 * look its row type up, for which the server locks it, and a session that alters all
 * tables of a tree begins at the top.  Returns NULL if the leaf was dropped.
 */
extern Relation table_open_leaf(Oid relid, LOCKMODE mode);

/*
 * Opens a table in ACCESS SHARE mode without waiting.  Returns NULL if it was
 * dropped (*gone), or if another session has it locked.
 */
extern Relation relation_open_nowait(Oid relid, bool *gone);

/* The partitions right below relid, or children; NIL of one that is gone. */
extern List *table_children(Oid relid);

/*
 * Returns relid and all its partitions, as OIDs; NIL if relid does not exist any
 * more.  Takes no lock.
 */
extern List *table_tree(Oid relid);

/* Returns the leaf tables of relid; relid itself if it is not partitioned. */
extern List *table_leaves(Oid relid);

#endif							/* TANDEM_RELATION_H */
