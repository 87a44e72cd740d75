/*
 * open_migration.c
 *		Whether any migration is open in this database.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/open_migration.h"

bool
open_migration_exists(void)
{
	Oid			schema = get_namespace_oid("tandem", true);
	Oid			table_oid = OidIsValid(schema)
	? get_relname_relid("migration", schema) : InvalidOid;
	Oid			index_oid = OidIsValid(schema)
	? get_relname_relid("migration_open_idx", schema) : InvalidOid;
	Relation	table;
	SysScanDesc scan;
	bool		exists;

	if (!OidIsValid(table_oid) || !OidIsValid(index_oid))
		return false;
	table = try_table_open(table_oid, AccessShareLock);
	if (table == NULL)
		return false;
	/* its index holds the open ones alone */
	scan = systable_beginscan(table, index_oid, true, NULL, 0, NULL);
	exists = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return exists;
}
