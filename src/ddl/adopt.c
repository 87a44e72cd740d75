/*
 * adopt.c
 *		Sync triggers that come without their dependencies.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_trigger.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "core/authority.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "core/subtransaction.h"
#include "ddl/adopt.h"
#include "ddl/rule_objects.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"

/* What the server itself records of such a trigger has no column. */
static bool
depends_on_columns(Oid trigger)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		depends = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(catalog, DependDependerIndexId, true, NULL, 2,
							  keys);
	while (!depends && HeapTupleIsValid(tuple = systable_getnext(scan)))
		depends = ((Form_pg_depend) GETSTRUCT(tuple))->refobjsubid != 0;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return depends;
}

/*
 * Tables with a sync trigger of their own, not that of a partitioned table,
 * whose objects are not recorded.  No other is locked for that: what a GRANT
 * locks it keeps to the end of its transaction.
 */
static List *
tables_to_adopt(void)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *relids = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (strcmp(NameStr(trigger->tgname), SYNC_TRIGGER_NAME) == 0 &&
			!OidIsValid(trigger->tgparentid) &&
			!depends_on_columns(trigger->oid) &&
			get_func_namespace(trigger->tgfoid) == extension_schema())
			relids = lappend_oid(relids, trigger->tgrelid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relids;
}

typedef struct Adoption
{
	Relation	rel;
	Trigger    *trigger;
} Adoption;

static void
record_objects(void *arg)
{
	Adoption   *adoption = arg;

	rule_objects_record(adoption->rel, adoption->trigger->tgoid,
						rule_args_decode(adoption->trigger));
}

/* The error of the attempt, or NULL. */
static ErrorData *
try_to_adopt(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Adoption	adoption = {rel, relation_sync_trigger(rel)};
	ErrorData  *error = NULL;

	if (adoption.trigger && !adoption.trigger->tgisclone &&
		!depends_on_columns(adoption.trigger->tgoid))
		error = subtransaction_try(record_objects, &adoption);
	table_close(rel, AccessShareLock);
	return error;
}

void
adopt_trigger(Oid relid)
{
	ErrorData  *error = try_to_adopt(relid);

	/* a restore grants at its end: see adopt_late */
	if (error && error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		ReThrowError(error);
}

/* A table that somebody has locked waits for the next GRANT. */
void
adopt_late(void)
{
	ListCell   *lc;

	foreach(lc, tables_to_adopt())
	{
		AuthorityScope scope;

		if ((lock_is_ours(lfirst_oid(lc)) ||
			 ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock)) &&
			authority_enter_owner_of(&scope, lfirst_oid(lc)))
		{
			adopt_trigger(lfirst_oid(lc));
			authority_leave(&scope);
		}
	}
}

void
adopt_all_triggers(void)
{
	ListCell   *lc;

	foreach(lc, tables_to_adopt())
	{
		ErrorData  *error = try_to_adopt(lfirst_oid(lc));

		if (error)
			ereport(WARNING,
					(errcode(error->sqlerrcode),
					 errmsg("sync trigger of table %s cannot be read",
							quoting_relation(lfirst_oid(lc))),
					 errdetail("%s", error->message),
					 errhint("Run SELECT * FROM tandem.syncs;")));
	}
	CommandCounterIncrement();
}
