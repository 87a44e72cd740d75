/*
 * filled_leaf.c
 *		Rows of tandem.filled_leaf: partitions that were empty when they got the
 *		trigger of a sync.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/filled_leaf.h"
#include "core/query.h"

/* columns of the table, in their order */
#define COLUMN_SYNC 1
#define COLUMN_RELATION 2
#define COLUMN_TRIGGER 3
#define COLUMN_PLACE 4

void
filled_leaf_note(int sync_id, Oid relid, Oid trigger_oid, const char *place)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, sync_id);
	query_oid(&query, relid);
	query_oid(&query, trigger_oid);
	query_text(&query, place);
	(void) query_run(&query,
					 "INSERT INTO tandem.filled_leaf (sync, relation, trigger, place) VALUES ($1, $2, $3, $4) "
					 "ON CONFLICT (relation, sync) DO UPDATE SET trigger = $3, place = $4");
	query_end(&query);
}

static bool
is_the_row(HeapTuple tuple, TupleDesc desc, Oid trigger_oid, const char *place)
{
	bool		isnull;
	Datum		trigger = heap_getattr(tuple, COLUMN_TRIGGER, desc, &isnull);
	Datum		noted = heap_getattr(tuple, COLUMN_PLACE, desc, &isnull);

	return DatumGetObjectId(trigger) == trigger_oid &&
		strcmp(TextDatumGetCString(noted), place) == 0;
}

/*
 * By the primary key, as the server looks into its catalogs.  An extension that
 * was installed before has no such table.
 */
bool
filled_leaf_is_noted(int sync_id, Oid relid, Oid trigger_oid, const char *place)
{
	Oid			namespace = get_namespace_oid("tandem", true);
	Oid			table = get_relname_relid("filled_leaf", namespace);
	Relation	rel;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(table))
		return false;
	rel = table_open(table, AccessShareLock);
	ScanKeyInit(&key[0], COLUMN_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], COLUMN_SYNC, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(sync_id));
	scan = systable_beginscan(rel, get_relname_relid("filled_leaf_pkey", namespace),
							  true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		found |= is_the_row(tuple, RelationGetDescr(rel), trigger_oid, place);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
filled_leaf_forget(int sync_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, sync_id);
	(void) query_run(&query, "DELETE FROM tandem.filled_leaf WHERE sync = $1");
	query_end(&query);
}
