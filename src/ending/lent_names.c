/*
 * lent_names.c
 *		Columns and views have other names for as long as a subtransaction lasts.
 *
 * ALTER ... RENAME would lock out who reads the relations.  What is to be seen is only
 * what the server makes of statements that name them, so the rows of the catalogs are
 * changed alone, and never committed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
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
