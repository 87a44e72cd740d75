/*
 * relation.c
 *		Partition trees, and access to tables block by block.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * The topmost table of a partition.
 *-------------------------------------------------------------------------
 */

bool
relation_exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

char
relation_persistence(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	char		persistence = '\0';

	if (HeapTupleIsValid(tuple))
	{
		persistence = ((Form_pg_class) GETSTRUCT(tuple))->relpersistence;
		ReleaseSysCache(tuple);
	}
	return persistence;
}

/* As far as the server looks for what may be meant; and half of a short name is another one. */
#define SIMILAR_NAME_DISTANCE 3

/* Returns the column whose name differs least, or NULL if all are other names. */
static char *
similar_column(Oid relid, const char *column)
{
	Relation	rel = RelationIdGetRelation(relid);
	int			length = strlen(column);
	int			nearest = Min(SIMILAR_NAME_DISTANCE, length / 2) + 1;
	char	   *similar = NULL;

	for (int i = 0; rel && i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		char	   *name = NameStr(att->attname);
		int			distance = att->attisdropped ? nearest
		: varstr_levenshtein_less_equal(column, length, name, strlen(name), 1, 1, 1,
										nearest, true);

		if (distance < nearest)
		{
			nearest = distance;
			similar = pstrdup(name);
		}
	}
	if (rel)
		RelationClose(rel);
	return similar;
}

char *
relation_missing_column_hint(Oid relid, const char *column)
{
	char	   *similar = similar_column(relid, column);

	if (similar)
		return psprintf("Perhaps you meant column \"%s\".", similar);
	return psprintf("Add it first, with ALTER TABLE %s ADD COLUMN %s ..., or tandem.add_column.",
					quoting_relation(relid), quote_identifier(column));
}

/* The server's own function takes a partition that has none for corruption. */
Oid
partition_parent(Oid relid)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			parent = InvalidOid;

	ScanKeyInit(&key[0], Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], Anum_pg_inherits_inhseqno, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(1));
	scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, NULL, 2,
							  key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return parent;
}

Oid
table_root(Oid relid)
{
	while (get_rel_relispartition(relid))
	{
		Oid			parent = partition_parent(relid);

		if (!OidIsValid(parent))
			break;
		relid = parent;
	}
	return relid;
}

/*-------------------------------------------------------------------------
 * Can the rows of a table be read here, block by block?
 *
 * Some extensions leave a user's table empty and keep its rows in other
 * tables, here or on other servers.  A fill of such a table would have nothing
 * to do, verify would find no mismatch, and the old column would be dropped
 * with all its data.  So look into the catalogs of those extensions.  Only
 * tables created by a superuser are trusted, so that a role cannot stop the
 * migrations of others with a table of that name.  The rows of a foreign table
 * are elsewhere, too.
 *-------------------------------------------------------------------------
 */

/* A table in which an extension lists the tables whose rows it keeps. */
typedef struct Distributor
{
	const char *extension;		/* for messages */
	const char *schema;			/* NULL for any */
	const char *catalog;
	const char *relation;		/* its column of type regclass, or NULL */
	const char *schema_name;	/* or its columns of type name */
	const char *table_name;
} Distributor;

static const Distributor distributors[] = {
	{"Citus", NULL, "pg_dist_partition", "logicalrelid", NULL, NULL},
	{"TimescaleDB", "_timescaledb_catalog", "hypertable", NULL, "schema_name", "table_name"},
};

static bool
has_tid_range_scan(const TableAmRoutine *routine)
{
	return routine->scan_set_tidrange && routine->scan_getnextslot_tidrange;
}

static void
refuse_access_method(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	char	   *method = HeapTupleIsValid(tuple)
	? get_am_name(((Form_pg_class) GETSTRUCT(tuple))->relam) : NULL;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("rows of table \"%s\" cannot be read block by block",
					quoting_shown_name(relid)),
			 errdetail("Its table access method \"%s\" does not support TID range scans.",
					   method ? method : "?"),
			 errhint("Give it one that does: ALTER TABLE %s SET ACCESS METHOD heap. This rewrites the table.",
					 quoting_relation(relid))));
}

/*
 * For a relation that is not open.  A partitioned table has no rows of its
 * own.
 */
static void
check_access_method(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	HeapTuple	method;
	bool		able = true;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	method = form->relkind == RELKIND_RELATION
		? SearchSysCache1(AMOID, ObjectIdGetDatum(form->relam)) : NULL;
	if (HeapTupleIsValid(method))
	{
		able = has_tid_range_scan(GetTableAmRoutine(((Form_pg_am) GETSTRUCT(method))->amhandler));
		ReleaseSysCache(method);
	}
	ReleaseSysCache(tuple);
	if (!able)
		refuse_access_method(relid);
}

static bool
catalog_is_of_superuser(Form_pg_class form)
{
	return superuser_arg(form->relowner);
}

/* Returns the trusted tables of that name, usually none or one. */
static List *
distributor_catalogs(const Distributor *distributor)
{
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	Oid			wanted = distributor->schema
	? GetSysCacheOid1(NAMESPACENAME, Anum_pg_namespace_oid,
					  CStringGetDatum(distributor->schema)) : InvalidOid;
	NameData	name;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *found = NIL;

	namestrcpy(&name, distributor->catalog);
	ScanKeyInit(&key, Anum_pg_class_relname, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(&name));
	scan = systable_beginscan(classes, ClassNameNspIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_RELATION &&
			catalog_is_of_superuser(form) &&
			(distributor->schema == NULL || form->relnamespace == wanted))
			found = lappend_oid(found, form->oid);
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return found;
}

/* Returns the column with this name and type, or InvalidAttrNumber. */
static AttrNumber
catalog_column_of_type(Oid relid, const char *name, Oid type)
{
	AttrNumber	attnum = name ? get_attnum(relid, name) : InvalidAttrNumber;

	return attnum > 0 && get_atttype(relid, attnum) == type
		? attnum : InvalidAttrNumber;
}

/* Returns the table to which a row of such a catalog refers. */
static Oid
table_listed_in_row(const Distributor *distributor, Relation catalog,
					TupleTableSlot *slot)
{
	Oid			relid = RelationGetRelid(catalog);
	AttrNumber	relation = catalog_column_of_type(relid,
												  distributor->relation, REGCLASSOID);
	AttrNumber	schema = catalog_column_of_type(relid,
												distributor->schema_name, NAMEOID);
	AttrNumber	table = catalog_column_of_type(relid, distributor->table_name,
											   NAMEOID);
	bool		isnull = true;
	Datum		value;
	Oid			namespace;

	if (relation != InvalidAttrNumber)
	{
		value = slot_getattr(slot, relation, &isnull);
		return isnull ? InvalidOid : DatumGetObjectId(value);
	}
	if (schema == InvalidAttrNumber || table == InvalidAttrNumber)
		return InvalidOid;
	value = slot_getattr(slot, schema, &isnull);
	if (isnull)
		return InvalidOid;
	namespace = GetSysCacheOid1(NAMESPACENAME, Anum_pg_namespace_oid, value);
	value = slot_getattr(slot, table, &isnull);
	return isnull || !OidIsValid(namespace) ? InvalidOid
		: get_relname_relid(NameStr(*DatumGetName(value)), namespace);
}

/* Returns the first of the relations that the catalog lists. */
static Oid
find_listed_relation(const Distributor *distributor, Oid catalog_oid,
					 List *relids)
{
	Relation	catalog = table_open(catalog_oid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(catalog, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = compat_begin_scan(catalog, snapshot);
	Oid			found = InvalidOid;

	while (!OidIsValid(found) &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Oid			listed = table_listed_in_row(distributor, catalog, slot);

		if (OidIsValid(listed) && list_member_oid(relids, listed))
			found = listed;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(catalog, AccessShareLock);
	return found;
}

char *
table_rows_problem(Oid relid)
{
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return NULL;
	return psprintf("partition %s is a foreign table, whose rows can be neither filled nor verified from here",
					quoting_relation(relid));
}

static void
refuse_foreign(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is a foreign table", quoting_raw_name(relid)),
			 errhint("Detach foreign partitions: their rows are not in this database.")));
}

void
table_rows_check_local(List *tables)
{
	List	   *relids = list_copy(tables);
	ListCell   *table;

	foreach(table, tables)
	{
		if (table_rows_problem(lfirst_oid(table)))
			refuse_foreign(lfirst_oid(table));
		if (get_rel_relispartition(lfirst_oid(table)))
			relids = list_concat_unique_oid(relids,
											get_partition_ancestors(lfirst_oid(table)));
	}
	for (int i = 0; i < (int) lengthof(distributors); i++)
	{
		ListCell   *lc;

		foreach(lc, distributor_catalogs(&distributors[i]))
		{
			Oid			relid = find_listed_relation(&distributors[i],
													 lfirst_oid(lc), relids);

			if (OidIsValid(relid))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("the rows of table \"%s\" are not in this table",
								quoting_shown_name(relid)),
						 errdetail("%s keeps them elsewhere, as its catalog %s says: they can be neither filled nor verified from here.",
								   distributors[i].extension,
								   quoting_relation(lfirst_oid(lc))),
						 errhint("Make it an ordinary table of PostgreSQL first, or change it by the means of that extension.")));
		}
	}
}

void
table_rows_check(List *relids)
{
	ListCell   *lc;

	table_rows_check_local(relids);
	foreach(lc, relids)
		check_access_method(lfirst_oid(lc));
}

TableScanDesc
table_rows_begin_scan(Relation rel, BlockNumber first, BlockNumber last)
{
	ItemPointerData from;
	ItemPointerData to;

	if (!has_tid_range_scan(rel->rd_tableam))
		refuse_access_method(RelationGetRelid(rel));
	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&to, last, MaxOffsetNumber);
	return compat_begin_range_scan(rel, GetActiveSnapshot(), &from, &to);
}

bool
heap_block_is_newer(Relation rel, BlockNumber block, XLogRecPtr than)
{
	Buffer		buffer = ReadBuffer(rel, block);
	XLogRecPtr	changed = BufferGetLSNAtomic(buffer);

	ReleaseBuffer(buffer);
	return changed > than;
}

/*-------------------------------------------------------------------------
 * A table and its partitions.
 *-------------------------------------------------------------------------
 */

Relation
relation_open_present(Oid relid, LOCKMODE mode)
{
	Relation	rel = try_relation_open(relid, mode);

	if (rel == NULL)
		quoting_raise_dropped(relid);
	return rel;
}

Relation
relation_open_nowait(Oid relid, bool *gone)
{
	Relation	rel;

	*gone = !relation_exists(relid);
	if (*gone)
		return NULL;
	/* a conditional request would fail if sessions are queued for the table */
	if (lock_is_ours(relid))
		return relation_open_present(relid, AccessShareLock);
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return NULL;
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		UnlockRelationOid(relid, AccessShareLock);
	*gone = rel == NULL;
	return rel;
}

Relation
table_open_leaf(Oid relid, LOCKMODE mode)
{
	Oid			root = table_root(relid);

	if (root != relid)
		LockRelationOid(root, AccessShareLock);
	return try_table_open(relid, mode);
}

/* Nothing is waited for between the two looks, so the second finds the same. */
List *
table_children(Oid relid)
{
	if (!relation_exists(relid))
		return NIL;
	return find_inheritance_children(relid, NoLock);
}

List *
table_tree(Oid relid)
{
	List	   *tree = NIL;
	ListCell   *lc;

	if (relation_exists(relid))
		tree = list_make1_oid(relid);
	foreach(lc, tree)
	{
		Oid			parent = lfirst_oid(lc);
		List	   *children = table_children(parent);

		/* a partition has one parent, other children may have several */
		if (get_rel_relkind(parent) == RELKIND_PARTITIONED_TABLE)
			tree = list_concat(tree, children);
		else
			tree = list_concat_unique_oid(tree, children);
	}
	return tree;
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
