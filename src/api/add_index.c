/*
 * add_index.c
 *		tandem.add_index: an index that migrate is to build.
 */
#include "postgres.h"

#include "api/arguments.h"
#include "catalog/migration.h"
#include "catalog/namespace.h"
#include "catalog/step.h"
#include "core/hint.h"
#include "core/quoting.h"
#include "core/security.h"
#include "core/sql_function.h"
#include "ddl/index_definition.h"
#include "ddl/partitions.h"
#include "ddl/target.h"
#include "utils/builtins.h"

SQL_FUNCTION(tandem_add_index);

static Oid
resolve_table(const RangeVar *name)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Oid relid = InvalidOid;

	PG_TRY();
	{
		relid = RangeVarGetRelid(name, NoLock, false);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller,
						  "Name the table in the definition with its schema, or SET search_path.");
	}
	PG_END_TRY();
	return relid;
}

/* Each partition gets an index of its own, which its owner alone may build. */
static void
check_table(Oid relid)
{
	ListCell   *lc;

	target_check_table(relid);
	foreach(lc, table_tree(relid))
		security_check_owner(lfirst_oid(lc));
}

Datum
tandem_add_index(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	char	   *text = argument_text(fcinfo, 1, "definition");
	IndexStmt  *stmt = index_definition_parse(text);
	Oid			relid;
	IndexDefinition *definition;
	Step		step = {.kind = STEP_INDEX};
	char	   *label;

	migration_check(migration, ACTION_EXPAND);
	relid = resolve_table(stmt->relation);
	check_table(relid);
	definition = index_definition_check(relid, stmt, text);
	step.relation = definition->relation;
	step.object = definition->name;
	step.definition = definition->tail;
	step.is_unique = definition->is_unique;
	label = psprintf("index %s on %s", quote_identifier(definition->name),
					 quoting_relation(relid));
	if (step_add(migration->id, &step))
		migration_act(migration, ACTION_EXPAND, label, 0);
	else
		ereport(NOTICE,
				(errmsg("migration \"%s\" has %s already, skipping",
						migration->name, label)));
	PG_RETURN_VOID();
}
