/*
 * verify.c
 *		tandem.verify: the proof, on command.
 */
#include "postgres.h"

#include "access/table.h"
#include "funcapi.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "backfill/verify.h"
#include "catalog/migration.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/quoting.h"
#include "core/sql_function.h"
#include "core/table_rows.h"
#include "ddl/partitions.h"
#include "sync/relation_rules.h"

SQL_FUNCTION(tandem_verify);

/* blocks that are checked at a time */
#define VERIFY_BLOCKS 1024

/* One row of the result of tandem.verify: a leaf table in one snapshot. */
static void
verify_table(ReturnSetInfo *result, const Migration *migration,
			 const SyncRule *rule, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	Trigger    *trigger = relation_sync_trigger(rel);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	AuthorityScope scope;
	VerifyResult counts;
	RowState   *state;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (trigger == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has lost its sync trigger",
						RelationGetRelationName(rel)),
				 errhint("Run CALL tandem.migrate(%s) to create it again.",
						 quote_literal_cstr(migration->name))));
	verify_result_init(&counts);
	authority_enter_owner(&scope, rel, rule->search_path);
	state = row_state_create(rel, trigger);
	for (int64 first = 0; first < blocks; first += VERIFY_BLOCKS)
		verify_blocks(state, migration->name, first,
					  Min(first + VERIFY_BLOCKS, blocks) - 1, &counts);
	authority_leave(&scope);
	values[0] = ObjectIdGetDatum(relid);
	values[1] = Int64GetDatum(counts.rows_checked);
	values[2] = Int64GetDatum(counts.rows_unfilled);
	values[3] = Int64GetDatum(counts.rows_mismatched);
	values[4] = DirectFunctionCall1(jsonb_in,
									CStringGetDatum(verify_sample(&counts)));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	table_close(rel, AccessShareLock);
}

Datum
tandem_verify(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get(argument_text(fcinfo, 0, "migration"));
	List	   *seen = NIL;
	ListCell   *lc;
	ListCell   *leaf;

	migration_check(migration, ACTION_VERIFY);
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (quoting_find_name(rule->relation) == NULL || list_member_oid(seen, rule->relation))
			continue;
		seen = lappend_oid(seen, rule->relation);
		table_rows_check_local(table_tree(rule->relation));
		foreach(leaf, table_leaves(rule->relation))
			verify_table((ReturnSetInfo *) fcinfo->resultinfo, migration, rule,
						 lfirst_oid(leaf));
	}
	return (Datum) 0;
}
