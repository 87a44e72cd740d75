/*
 * quarantine.c
 *		Rows on which up or down fails are recorded, and the write succeeds.
 */
#include "postgres.h"

#include "utils/errcodes.h"

#include "core/error.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/transaction.h"
#include "row/quarantine.h"
#include "row/row_tuple.h"

ErrorData *
quarantine_try(void (*work) (void *), void *arg)
{
	ErrorData  *error = subtransaction_try(work, arg);

	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return error;
}

/*
 * This runs with the rights of the extension's owner, and a hand-made trigger
 * on any table may name any sync.  So the row is recorded only if the sync
 * belongs to this table.  SKIP LOCKED: never wait for another session that
 * records the same key.
 */
void
quarantine_record(RowState *state, const CompiledRule *rule,
				  const char *direction, const ErrorData *error)
{
	TandemQuery query;
	List	   *columns = row_key_columns(state->rel,
										  rule_row_names(state->rules, rule));
	char	   *key = row_columns_json(state->rel, state->row, columns);
	uint64		recorded;

	query_begin(&query);
	query_int(&query, rule->source->id);
	query_oid(&query, RelationGetRelid(state->rel));
	query_text(&query, key);
	query_text(&query, direction);
	query_text(&query, unpack_sql_state(error->sqlerrcode));
	query_text(&query, error->message);
	/* the table under which the sync is recorded */
	query_oid(&query, table_root(RelationGetRelid(state->rel)));
	/* require that the sync is one of this table */
	recorded = query_run(&query,
						 "WITH known AS (DELETE FROM tandem.quarantined_row WHERE id IN ("
						 "SELECT q.id FROM tandem.quarantined_row q WHERE q.sync = $1 "
						 "AND q.relation = $2::regclass AND md5(q.key::text) = md5($3::jsonb::text) "
						 "FOR UPDATE SKIP LOCKED)) "
						 "INSERT INTO tandem.quarantined_row (sync, relation, key, direction, sqlstate, error) "
						 "SELECT s.id, $2::regclass, $3::jsonb, $4, $5, left($6, " QUERY_KEPT_TEXT ") "
						 "FROM tandem.sync s WHERE s.id = $1 AND s.relation = $7");
	query_end(&query);

	/*
	 * during a data-only restore the sync may be missing; verify finds such
	 * rows
	 */
	if (recorded == 0 && !restore_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the sync trigger of table \"%s\" belongs to no sync of that table",
						RelationGetRelationName(state->rel)),
				 errdetail("%s of sync %d failed: %s", direction,
						   rule->source->id, error->message),
				 errhint("Drop the trigger, and let tandem.sync_column create it.")));
}

List *
quarantine_list(int migration_id)
{
	TandemQuery query;
	List	   *list = NIL;
	uint64		rows;

	query_begin(&query);
	query_int(&query, migration_id);
	rows = query_run(&query,
					 "SELECT q.id, q.sync, q.relation::oid, q.key::text, q.direction = 'up' "
					 "FROM tandem.quarantined_row q JOIN tandem.sync s ON s.id = q.sync "
					 "WHERE s.migration = $1 ORDER BY q.id");
	for (uint64 row = 0; row < rows; row++)
	{
		QuarantinedRow *q = palloc(sizeof(QuarantinedRow));

		q->id = query_get_bigint(row, 1);
		q->sync = query_get_int(row, 2);
		q->relation = query_get_oid(row, 3);
		q->key = query_get_text(row, 4);
		q->up = query_get_bool(row, 5);
		list = lappend(list, q);
	}
	query_end(&query);
	return list;
}

int64
quarantine_count(int migration_id)
{
	return list_length(quarantine_list(migration_id));
}

void
quarantine_remove(int64 id)
{
	TandemQuery query;

	query_begin(&query);
	query_bigint(&query, id);
	(void) query_run(&query, "DELETE FROM tandem.quarantined_row WHERE id = $1");
	query_end(&query);
}
