/*
 * add_index.c
 *		tandem.add_index: an index that migrate is to build.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/repeat.h"
#include "catalog/migration.h"
#include "catalog/step.h"
#include "core/hint.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "core/sql_function.h"
#include "ddl/index_definition.h"
#include "ddl/partitions.h"
#include "ddl/target.h"

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
		authority_check_owner(lfirst_oid(lc));
}

/* An index that is to be built has no entry yet to keep its name. */
static void
check_name(const Migration *migration, const IndexDefinition *definition)
{
	TandemQuery query;
	char	   *other = NULL;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid(&query, definition->relation);
	query_text(&query, definition->name);
	query_oid(&query, get_rel_namespace(definition->relation));
	if (query_run(&query,
				  "SELECT format('migration %I, on table %s', m.name, t.relation) "
				  "FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration "
				  "JOIN pg_class c ON c.oid = t.relation "
				  "WHERE t.kind = 'index' AND t.object = $3 AND c.relnamespace = $4 "
				  "AND m.phase NOT IN ('done', 'aborted') AND (t.migration, t.relation::oid) <> ($1, $2)") > 0)
		other = query_get_text(0, 1);
	query_end(&query);
	if (other)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("index \"%s\" is already planned",
						definition->name),
				 errdetail("Planned by %s.", other),
				 errhint("Choose another name.")));
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

	relid = resolve_table(stmt->relation);
	step.relation = relid;
	step.object = stmt->idxname;
	step.given = text;

	if (repeat_step(migration, &step))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	check_table(relid);
	definition = index_definition_check(relid, stmt, text);
	check_name(migration, definition);
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
