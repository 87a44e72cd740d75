/*
 * extension.c
 *		Looks up the extension in this database; detects a restore.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/extension.h"

/*-------------------------------------------------------------------------
 * Whether this database has the extension, and the schema of its tables.
 *-------------------------------------------------------------------------
 */

/*
 * Only a schema that was found is cached, with the extension.  Changes of pg_extension and
 * pg_depend send no invalidation, but the extension is created and dropped
 * together with its schema, which does.
 */
static Oid	kept_schema = InvalidOid;
static Oid	kept_extension = InvalidOid;
static bool changed = false;

static void
extension_syscache_callback(Datum arg, int cacheid, uint32 hash)
{
	kept_schema = InvalidOid;
	changed = true;
}

void
extension_init(void)
{
	CacheRegisterSyscacheCallback(NAMESPACEOID, extension_syscache_callback,
								  (Datum) 0);
}

Oid
extension_schema(void)
{
	Oid			schema;
	Oid			extension;

	if (OidIsValid(kept_schema))
		return kept_schema;
	changed = false;
	schema = get_namespace_oid(EXTENSION_SCHEMA, true);
	if (!OidIsValid(schema))
		return InvalidOid;
	extension = get_extension_oid(EXTENSION_NAME, true);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(NamespaceRelationId, schema) != extension)
		return InvalidOid;
	kept_extension = extension;
	/* an invalidation received meanwhile may concern that schema */
	if (!changed)
		kept_schema = schema;
	return schema;
}

static bool holds_in_transactions = false;

void
extension_hold_in_transactions(bool holds)
{
	holds_in_transactions = holds;
}

/*
 * Once for each query, since a subtransaction that is rolled back releases what it
 * has locked.  Who waits here while the extension goes finds no schema afterwards.
 */
void
extension_hold(void)
{
	if (holds_in_transactions && OidIsValid(extension_schema()))
		LockDatabaseObject(ExtensionRelationId, kept_extension, 0,
						   AccessShareLock);
}

Oid
extension_relation(const char *name, bool missing_ok)
{
	Oid			schema = extension_schema();
	Oid			relid = OidIsValid(schema)
	? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(relid) && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s.%s of extension %s does not exist",
						EXTENSION_SCHEMA, name, EXTENSION_NAME),
				 errhint("Run CREATE EXTENSION %s in this database.",
						 EXTENSION_NAME)));
	return relid;
}

bool
extension_index_has_rows(const char *name, const char *index)
{
	Oid			table_oid = extension_relation(name, true);
	Oid			index_oid = extension_relation(index, true);
	Relation	table;
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(table_oid) || !OidIsValid(index_oid))
		return false;
	table = try_table_open(table_oid, AccessShareLock);
	if (table == NULL)
		return false;
	scan = systable_beginscan(table, index_oid, true, NULL, 0, NULL);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return found;
}

void
extension_refuse_upgrade(void)
{
	if (IsBinaryUpgrade)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_tandem changes nothing while the server runs for pg_upgrade"),
				 errdetail("The server was started with option -b."),
				 errhint("Call it again when pg_upgrade has ended and the server was started without -b.")));
}

/*-------------------------------------------------------------------------
 * Detecting that this session restores a dump.
 *-------------------------------------------------------------------------
 */

bool
restore_is_running(void)
{
	return !check_function_bodies && namespace_search_path &&
		namespace_search_path[0] == '\0';
}
