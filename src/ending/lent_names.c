/*
 * lent_names.c
 *		Columns and views have other names for as long as a subtransaction lasts.
 *
 * ALTER ... RENAME would lock out who reads the relations.  What is to be seen is only
 * what the server makes of statements that name them, so the rows of the catalogs are
 * changed alone, and never committed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/catalog_row.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/lent_names.h"

static bool
column_is_taken(Oid relid, const char *name)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		if (get_attnum(lfirst_oid(lc), name) != InvalidAttrNumber)
			return true;
	}
	return false;
}

/* So has a type, as a view has. */
static bool
view_is_taken(Oid schema, const char *name)
{
	return OidIsValid(get_relname_relid(name, schema)) ||
		SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(name), ObjectIdGetDatum(schema));
}

static void
store_name(Oid catalog, HeapTuple tuple, NameData *place, const char *new_name)
{
	Relation	rel = table_open(catalog, RowExclusiveLock);

	namestrcpy(place, new_name);
	catalog_row_store(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
}

void
lend_column_name(Oid relid, const char *name, const char *new_name)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		HeapTuple	tuple = SearchSysCacheCopyAttName(lfirst_oid(lc), name);

		if (HeapTupleIsValid(tuple))
			store_name(AttributeRelationId, tuple,
					   &((Form_pg_attribute) GETSTRUCT(tuple))->attname, new_name);
	}
}

void
lend_column_any_name(Oid relid, const char *name)
{
	char	   *lent = derived_name(name, "tandem_lent");

	for (int i = 1; column_is_taken(relid, lent); i++)
		lent = derived_name(name, psprintf("tandem_lent%d", i));
	lend_column_name(relid, name, lent);
}

static char *
free_view_name(Oid view)
{
	char	   *name = quoting_raw_name(view);
	char	   *lent = derived_name(name, "tandem_lent");

	for (int i = 1; view_is_taken(get_rel_namespace(view), lent); i++)
		lent = derived_name(name, psprintf("tandem_lent%d", i));
	return lent;
}

void
lend_view_any_name(Oid view)
{
	HeapTuple	tuple;
	char	   *new_name;
	bool		entered;

	LockRelationOid(view, ShareUpdateExclusiveLock);
	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(view));
	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	new_name = free_view_name(view);
	entered = snapshot_enter();
	RenameTypeInternal(get_rel_type_id(view), new_name, get_rel_namespace(view));
	snapshot_leave(entered);
	store_name(RelationRelationId, tuple,
			   &((Form_pg_class) GETSTRUCT(tuple))->relname, new_name);
}

static void
put_key_column(Relation catalog, HeapTuple tuple, AttrNumber number, AttrNumber other)
{
	Datum		values[Natts_pg_constraint] = {0};
	bool		nulls[Natts_pg_constraint] = {false};
	bool		replaces[Natts_pg_constraint] = {false};
	bool		isnull;
	Datum		key = heap_getattr(tuple, Anum_pg_constraint_conkey, RelationGetDescr(catalog), &isnull);
	Datum	   *numbers;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(key), INT2OID, sizeof(int16), true, TYPALIGN_SHORT,
					  &numbers, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (DatumGetInt16(numbers[i]) == number)
			numbers[i] = Int16GetDatum(other);
	}
	values[Anum_pg_constraint_conkey - 1] =
		PointerGetDatum(construct_array(numbers, count, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	replaces[Anum_pg_constraint_conkey - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	catalog_row_store(catalog, tuple);
	heap_freetuple(tuple);
}

static void
lend_primary_key_of_table(Oid relid, const char *column, const char *other)
{
	Relation	catalog = table_open(ConstraintRelationId, RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_PRIMARY)
		{
			put_key_column(catalog, tuple, get_attnum(relid, column), get_attnum(relid, other));
			break;
		}
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

void
lend_primary_key(Oid relid, const char *column, const char *other)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
		lend_primary_key_of_table(lfirst_oid(lc), column, other);
}
