/*
 * sync_trigger.c
 *		Looks up a table's sync trigger in pg_trigger.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/extension.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"

/* Scans the triggers of a table by name, the order in which they fire. */
static SysScanDesc
begin_trigger_scan(Relation catalog, Oid relid)
{
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	return systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
}

/*
 * It must be BEFORE INSERT OR UPDATE FOR EACH ROW, with no columns and no
 * WHEN.
 */
static bool
trigger_is_intact(Relation catalog, HeapTuple tuple, const char *called)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
	char	   *function = get_func_name(trigger->tgfoid);

	return trigger->tgtype == (TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE |
							   TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE) &&
		trigger->tgattr.dim1 == 0 &&
		heap_attisnull(tuple, Anum_pg_trigger_tgqual,
					   RelationGetDescr(catalog)) &&
		function && strcmp(function, called) == 0 &&
		get_func_namespace(trigger->tgfoid) == extension_schema();
}

static void
fill_trigger_row(SyncTriggerRow *row, Relation catalog, HeapTuple tuple,
				 const char *function)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

	row->oid = trigger->oid;
	row->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	row->enabled = trigger->tgenabled;
	row->intact = trigger_is_intact(catalog, tuple, function);
}

static bool
trigger_is_before_row(const FormData_pg_trigger *trigger)
{
	return !trigger->tgisinternal && TRIGGER_FOR_ROW(trigger->tgtype) &&
		TRIGGER_FOR_BEFORE(trigger->tgtype) &&
		(TRIGGER_FOR_INSERT(trigger->tgtype) ||
		 TRIGGER_FOR_UPDATE(trigger->tgtype));
}

static void
note_other_trigger(TableTriggers *triggers, const char *name)
{
	triggers->has_other = true;
	if (strcmp(name, FIRST_TRIGGER_NAME) < 0 ||
		strcmp(name, SYNC_TRIGGER_NAME) > 0)
		triggers->outside = pstrdup(name);
}

void
table_triggers_read(Oid relid, TableTriggers *triggers)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = begin_trigger_scan(catalog, relid);
	HeapTuple	tuple;

	memset(triggers, 0, sizeof(TableTriggers));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		const char *name = NameStr(trigger->tgname);

		if (strcmp(name, SYNC_TRIGGER_NAME) == 0)
		{
			triggers->has_last = true;
			fill_trigger_row(&triggers->last, catalog, tuple, "sync_row");
		}
		else if (strcmp(name, FIRST_TRIGGER_NAME) == 0)
		{
			triggers->has_first = true;
			fill_trigger_row(&triggers->first, catalog, tuple,
							 "sync_row_first");
		}
		else if (trigger_is_before_row(trigger))
			note_other_trigger(triggers, name);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

bool
sync_trigger_row(Oid relid, SyncTriggerRow *row)
{
	TableTriggers triggers;

	table_triggers_read(relid, &triggers);
	*row = triggers.last;
	return triggers.has_last;
}

bool
first_trigger_row(Oid relid, SyncTriggerRow *row)
{
	TableTriggers triggers;

	table_triggers_read(relid, &triggers);
	*row = triggers.first;
	return triggers.has_first;
}

Oid
sync_trigger_function(void)
{
	Oid			schema = extension_schema();

	return !OidIsValid(schema) ? InvalidOid : GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
															  CStringGetDatum("sync_row"),
															  PointerGetDatum(buildoidvector(NULL, 0)),
															  ObjectIdGetDatum(schema));
}

/* Returns false if the trigger does not exist. */
static bool
read_trigger_row(Relation catalog, Oid trigger, FormData_pg_trigger *form)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		*form = *(Form_pg_trigger) GETSTRUCT(tuple);
	systable_endscan(scan);
	return HeapTupleIsValid(tuple);
}

Oid
trigger_made_on(Oid trigger)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	FormData_pg_trigger form;
	Oid			relid = InvalidOid;

	while (OidIsValid(trigger) && read_trigger_row(catalog, trigger, &form))
	{
		relid = form.tgrelid;
		trigger = form.tgparentid;
	}
	table_close(catalog, AccessShareLock);
	return relid;
}

List *
trigger_dependencies(Oid trigger)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *dependencies = NIL;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(catalog, DependDependerIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = palloc(sizeof(FormData_pg_depend));

		*row = *(Form_pg_depend) GETSTRUCT(tuple);
		dependencies = lappend(dependencies, row);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return dependencies;
}

bool
trigger_is_sync(Oid trigger)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	FormData_pg_trigger form;
	bool		is_sync = read_trigger_row(catalog, trigger, &form) &&
	form.tgfoid == sync_trigger_function();

	table_close(catalog, AccessShareLock);
	return is_sync;
}

/* Every sync trigger has a dependency on its function; find one. */
bool
sync_trigger_exists(void)
{
	Oid			function = sync_trigger_function();
	Relation	catalog;
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		exists;

	if (!OidIsValid(function))
		return false;
	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(function));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2,
							  keys);
	exists = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return exists;
}

char *
sync_trigger_version_of(Oid trigger, TransactionId xmin)
{
	/*
	 * a restored database may have the same trigger OIDs and transaction ids
	 */
	return psprintf(UINT64_FORMAT "/%u:%u:%u", GetSystemIdentifier(),
					MyDatabaseId, trigger, xmin);
}

char *
sync_trigger_version(Oid relid)
{
	SyncTriggerRow row;

	return sync_trigger_row(relid, &row)
		? sync_trigger_version_of(row.oid, row.xmin) : NULL;
}

bool
other_trigger_exists(Oid relid)
{
	TableTriggers triggers;

	table_triggers_read(relid, &triggers);
	return triggers.has_other;
}

char *
trigger_outside_sync(Oid relid)
{
	TableTriggers triggers;

	table_triggers_read(relid, &triggers);
	return triggers.outside;
}
