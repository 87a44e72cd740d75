/*
 * quarantine_retry.c
 *		Tries quarantined rows again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/batch.h"
#include "fill/quarantine_retry.h"
#include "row/quarantine.h"
#include "row/row_tuple.h"

/*
 * Returns the equality operator of a type as "schema.=", for OPERATOR(), or
 * NULL if it has none.
 */
static char *
type_equality_operator(Oid type)
{
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	char	   *schema;
	char	   *name;

	if (!OidIsValid(operator))
		return NULL;
	schema = quoting_find_schema(get_func_namespace(get_opcode(operator)));
	name = get_opname(operator);
	return schema && name
		? psprintf("%s.%s", quote_identifier(schema), name) : NULL;
}

/* Returns a query for the ctids of the rows with key $1 (JSON). */
static char *
row_lookup_query(Relation rel, List *columns)
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
		char	   *operator = type_equality_operator(att->atttypid);

		/* key columns are never NULL; columns of a table without key may be */
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

/* Returns the rows with a key, as a list of ItemPointer. */
static List *
find_rows_by_key(Relation rel, const SyncRule *rule, const char *key)
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
	(void) SPI_execute_with_args(row_lookup_query(rel, columns), 1, types,
								 values, NULL, false, 0);
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

typedef struct Retry
{
	const QuarantinedRow *note;
	ItemPointerData row;		/* row being tried, or invalid */
	bool		right;			/* all rows of the note are filled */
} Retry;

static void
retry_rows_of_key(Retry *retry, Relation rel, const SyncRule *rule)
{
	const QuarantinedRow *note = retry->note;
	AuthorityScope scope;
	List	   *rows = find_rows_by_key(rel, rule, note->key);
	ListCell   *lc;
	RowState   *state;

	retry->right = true;
	authority_enter_owner(&scope, rel, rule->search_path);
	state = row_state_create(rel, relation_sync_trigger(rel));
	foreach(lc, rows)
	{
		retry->row = *(ItemPointer) lfirst(lc);
		if (batch_retry_row(state, &retry->row, note->sync, note->up) != RETRY_RIGHT)
			retry->right = false;
		ItemPointerSetInvalid(&retry->row);
	}
	authority_leave(&scope);
}

/* Each row is tried under a new snapshot, to see what the one before wrote. */
static void
retry_quarantine_note(void *arg)
{
	Retry	   *retry = arg;
	bool		live;
	SyncRule   *rule = sync_get(retry->note->sync, &live);
	Relation	rel = try_table_open(retry->note->relation, RowExclusiveLock);

	retry->right = rel == NULL || rule == NULL;
	if (rel == NULL)
		return;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (rule && relation_has_sync_trigger(rel))
		retry_rows_of_key(retry, rel, rule);
	PopActiveSnapshot();
	table_close(rel, NoLock);
}

/* Tries the rows of a note.  Returns true if it has left the quarantine. */
static bool
settle_quarantine_note(const Migration *migration, const QuarantinedRow *note)
{
	Retry		retry = {.note = note};
	ErrorData  *error = subtransaction_try(retry_quarantine_note, &retry);

	/* the next run tries the row again */
	if (error && error_passes_with_others(error))
		return false;
	if (error)
	{
		if (ItemPointerIsValid(&retry.row))
			failed_row_name(error, note->relation, &retry.row);
		if (error->hint == NULL)
			error->hint = psprintf("Fix the cause, then run CALL tandem.migrate(%s) again; completed work is kept.",
								   quote_literal_cstr(migration->name));
		ReThrowError(error);
	}
	if (retry.right)
		quarantine_remove(note->id);
	return retry.right;
}

int
quarantine_retry(const Migration *migration, List *notes, int first,
				 int target_ms, int64 *left)
{
	int64		end = clock_after_ms(target_ms);
	int			next = first;

	/* the same lock timeout as in a batch */
	if (setting_batch_lock_timeout > 0)
		settings_for_transaction("lock_timeout",
								 psprintf("%d", setting_batch_lock_timeout));
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (!settle_quarantine_note(migration, list_nth(notes, next++)))
			(*left)++;
	} while (next < list_length(notes) && clock_now() < end);
	return next;
}
