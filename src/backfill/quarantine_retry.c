/*
 * quarantine_retry.c
 *		Tries the rows in quarantine again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "backfill/batch.h"
#include "backfill/quarantine_retry.h"
#include "catalog/sync.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "sync/quarantine.h"
#include "sync/row_key.h"

#define ROWS_A_TRANSACTION 100

/* "schema.=" of the column's type, to be put into OPERATOR(); NULL: none */
static char *
equality_of(Oid type)
{
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;

	if (!OidIsValid(operator))
		return NULL;
	return psprintf("%s.%s",
					quote_identifier(get_namespace_name(get_func_namespace(get_opcode(operator)))),
					get_opname(operator));
}

/* A query for the ctids of the rows with the key $1 (JSON). */
static char *
lookup_query(Relation rel, List *columns)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT ctid FROM ONLY %s WHERE true",
					 quoting_relation(RelationGetRelid(rel)));
	foreach(lc, columns)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  lfirst_int(lc) - 1);
		const char *name = quote_identifier(NameStr(att->attname));
		const char *json = quote_literal_cstr(NameStr(att->attname));
		char	   *operator = equality_of(att->atttypid);

		/* a key column is never null; a column of a keyless table may be */
		if (operator)
			appendStringInfo(&sql,
							 " AND (%s OPERATOR(%s) ($1->>%s)::%s%s)", name,
							 operator, json,
							 format_type_be_qualified(att->atttypid),
							 att->attnotnull ? "" : psprintf(" OR (%s IS NULL AND ($1->>%s) IS NULL)", name, json));
		else
			appendStringInfo(&sql,
							 " AND (%s)::text IS NOT DISTINCT FROM ($1->>%s)",
							 name, json);
	}
	return sql.data;
}

/* The rows of a key, as a list of ItemPointer. */
static List *
find_rows(Relation rel, const SyncRule *rule, const char *key)
{
	List	   *columns = row_key_columns(rel, rule->old_columns);
	Oid			types[1] = {JSONBOID};
	Datum		values[1] = {DirectFunctionCall1(jsonb_in,
												 CStringGetDatum(key))};
	MemoryContext caller = CurrentMemoryContext;
	AuthorityScope scope;
	List	   *rows = NIL;

	authority_enter_owner(&scope, rel, "pg_catalog, pg_temp");
	authority_see_all_rows();
	authority_pin_text_forms();
	SPI_connect();
	(void) SPI_execute_with_args(lookup_query(rel, columns), 1, types, values,
								 NULL, false, 0);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool		isnull;
		Datum		tid = SPI_getbinval(SPI_tuptable->vals[row],
										SPI_tuptable->tupdesc, 1, &isnull);
		ItemPointer copy = MemoryContextAlloc(caller, sizeof(ItemPointerData));
		MemoryContext old = MemoryContextSwitchTo(caller);

		*copy = *(ItemPointer) DatumGetPointer(tid);
		rows = lappend(rows, copy);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	authority_leave(&scope);
	return rows;
}

/* Whether all rows of the key are right. */
static bool
retry_rows(Relation rel, const SyncRule *rule, const QuarantinedRow *q)
{
	AuthorityScope scope;
	bool		right = true;
	List	   *rows = find_rows(rel, rule, q->key);
	ListCell   *lc;
	RowState   *state;

	authority_enter_owner(&scope, rel, rule->search_path);
	state = row_state_create(rel, relation_sync_trigger(rel));
	foreach(lc, rows)
		right &= batch_retry_row(state, lfirst(lc), q->sync, q->up) == RETRY_RIGHT;
	authority_leave(&scope);
	return right;
}

/* Each under a snapshot of its own, which sees what the one before wrote. */
static bool
retry(const QuarantinedRow *q)
{
	bool		live;
	SyncRule   *rule = sync_get(q->sync, &live);
	Relation	rel = try_table_open(q->relation, RowExclusiveLock);
	bool		right;

	if (rel == NULL || rule == NULL)
		return true;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	right = relation_sync_trigger(rel) && retry_rows(rel, rule, q);
	PopActiveSnapshot();
	table_close(rel, NoLock);
	return right;
}

int64
quarantine_retry(Migration *migration)
{
	int64		left = 0;
	ListCell   *lc;

	foreach(lc, quarantine_list(migration->id))
	{
		QuarantinedRow *q = lfirst(lc);

		if (retry(q))
			quarantine_remove(q->id);
		else
			left++;
		/* not too many rows locked at a time */
		if (foreach_current_index(lc) % ROWS_A_TRANSACTION == ROWS_A_TRANSACTION - 1)
			SPI_commit();
	}
	return left;
}
