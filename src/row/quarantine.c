/*
 * quarantine.c
 *		Rows on which up or down fails are recorded, and the write succeeds.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/errcodes.h"
#include "utils/rel.h"

#include "core/error.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/transaction.h"
#include "row/quarantine.h"
#include "row/row_tuple.h"

static void begin_query_before(TandemQuery *query, int sync_id, Oid relation,
							   const char *before);

/*
 * The table may grow by many rows while a session uses one plan, so each
 * query is planned to use its index.
 */
static void
begin_note_query(TandemQuery *query)
{
	query_begin(query);
	authority_pin_index_scans();
}

/*-------------------------------------------------------------------------
 * Noting a row.
 *-------------------------------------------------------------------------
 */

/* the notes of sync $1 and table $2 with key $3 */
#define OF_KEY \
	"q.sync = $1 AND q.relation = $2::regclass " \
	"AND jsonb_hash_extended(q.key, 0) = jsonb_hash_extended($3::jsonb, 0) AND q.key = $3::jsonb"

ErrorData *
quarantine_try(void (*work) (void *), void *arg)
{
	ErrorData  *error = subtransaction_try(work, arg);

	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return error;
}

/* Adds the key of the loaded row: its JSON, and the columns it is made of. */
static void
query_key(TandemQuery *query, RowState *state, List *columns)
{
	List	   *names = row_column_names(state->rel, columns);
	List	   *types = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		types = lappend_oid(types, TupleDescAttr(RelationGetDescr(state->rel),
												 lfirst_int(lc) - 1)->atttypid);
	query_text(query, row_columns_json_as(state->rel, state->row, columns, names));
	query_int_list(query, columns);
	query_datum(query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
	query_oid_list(query, types);
}

/*
 * One note of a key is enough, and this transaction writes it once.  Another
 * session that is writing it is not waited for (SKIP LOCKED), nor may its
 * commit make a statement fail that has kept its snapshot: then a second note
 * is added.
 */
static uint64
write_note(TandemQuery *query)
{
	return query_run(query,
					 "WITH known AS MATERIALIZED (SELECT FROM tandem.sync s WHERE s.id = $1 AND s.relation = $10), "
					 "ours AS MATERIALIZED (SELECT FROM tandem.quarantined_row q WHERE " OF_KEY
					 " AND q.direction = $7 AND q.noted_in = pg_current_xact_id() LIMIT 1), "
					 "older AS MATERIALIZED (SELECT q.id FROM tandem.quarantined_row q WHERE $11 "
					 "AND EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM ours) AND " OF_KEY
					 " LIMIT 1 FOR UPDATE SKIP LOCKED), "
					 "renewed AS (UPDATE tandem.quarantined_row q SET key_columns = $4, key_names = $5, key_types = $6, "
					 "direction = $7, sqlstate = $8, error = left($9, " QUERY_KEPT_TEXT "), "
					 "failed_at = clock_timestamp(), noted_in = pg_current_xact_id() "
					 "FROM older WHERE q.id = older.id), "
					 "added AS (INSERT INTO tandem.quarantined_row (sync, relation, key, key_columns, key_names, key_types, direction, sqlstate, error) "
					 "SELECT $1, $2::regclass, $3::jsonb, $4, $5, $6, $7, $8, left($9, " QUERY_KEPT_TEXT ") "
					 "FROM known WHERE NOT EXISTS (SELECT FROM ours) AND NOT EXISTS (SELECT FROM older)) "
					 "SELECT FROM known");
}

/*
 * This runs with the rights of the extension's owner, and a hand-made trigger
 * on any table may name any sync.  So the row is recorded only if the sync
 * belongs to this table.
 */
void
quarantine_record(RowState *state, const CompiledRule *rule,
				  const char *direction, const ErrorData *error)
{
	TandemQuery query;
	Oid			relid = RelationGetRelid(state->rel);
	bool		known;

	begin_note_query(&query);
	query_int(&query, rule->source->id);
	query_oid(&query, relid);
	query_key(&query, state, row_key_columns(state->rel,
											 row_fallback_names(state->rules, rule)));
	query_text(&query, direction);
	query_text(&query, unpack_sql_state(error->sqlerrcode));
	query_text(&query, error->message);
	/* the table under which the sync is recorded */
	query_oid(&query, table_root(relid));
	query_bool(&query, !IsolationUsesXactSnapshot());
	known = write_note(&query) > 0;
	query_end(&query);

	/*
	 * during a data-only restore the sync may be missing; verify finds such
	 * rows
	 */
	if (!known && !restore_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the sync trigger of table \"%s\" belongs to no sync of that table",
						RelationGetRelationName(state->rel)),
				 errdetail("%s of sync %d failed: %s", direction,
						   rule->source->id, error->message),
				 errhint("Drop the trigger, and let tandem.sync_column create it.")));
}

/* Is there any note of the rule and table?  It is asked once for a statement. */
static bool
rule_has_notes(RowState *state, const CompiledRule *rule)
{
	int			index = rule - state->rules->rules;
	TandemQuery query;

	if (bms_is_member(index, state->without_notes))
		return false;
	begin_note_query(&query);
	query_int(&query, rule->source->id);
	query_oid(&query, RelationGetRelid(state->rel));
	if (query_run(&query,
				  "SELECT FROM tandem.quarantined_row q WHERE q.sync = $1 AND q.relation = $2::regclass LIMIT 1") == 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->statement);

		state->without_notes = bms_add_member(state->without_notes, index);
		MemoryContextSwitchTo(caller);
	}
	query_end(&query);
	return !bms_is_member(index, state->without_notes);
}

typedef struct NotesOfKey
{
	int			sync_id;
	Oid			relation;
	const char *key;			/* JSON */
} NotesOfKey;

static void
remove_notes_of_key(void *arg)
{
	NotesOfKey *notes = arg;
	TandemQuery query;

	begin_query_before(&query, notes->sync_id, notes->relation, notes->key);
	(void) query_run(&query,
					 "WITH old AS MATERIALIZED (SELECT q.id FROM tandem.quarantined_row q WHERE " OF_KEY
					 " FOR UPDATE OF q SKIP LOCKED) "
					 "DELETE FROM tandem.quarantined_row q USING old WHERE q.id = old.id");
	query_end(&query);
}

/*
 * In REPEATABLE READ a note that another session renews between the look at it
 * and its lock is an error (40001), which the writer must not get: none of its
 * own rows was changed.  The next look sees the renewed note.  A serializable
 * transaction that is doomed would fail again and again.
 */
static void
remove_notes_of_key_in_snapshot(NotesOfKey *notes)
{
	ErrorData  *error;

	while ((error = subtransaction_try(remove_notes_of_key, notes)) != NULL)
	{
		if (error->sqlerrcode != ERRCODE_T_R_SERIALIZATION_FAILURE)
			ReThrowError(error);
		FreeErrorData(error);
	}
}

void
quarantine_forget(RowState *state, const CompiledRule *rule)
{
	List	   *columns = row_key_columns(state->rel, NIL);
	NotesOfKey	notes;

	if (columns == NIL || !rule_has_notes(state, rule))
		return;
	notes.sync_id = rule->source->id;
	notes.relation = RelationGetRelid(state->rel);
	notes.key = row_columns_json(state->rel, state->row, columns);
	if (IsolationUsesXactSnapshot() && !IsolationIsSerializable())
		remove_notes_of_key_in_snapshot(&notes);
	else
		remove_notes_of_key(&notes);
}

int64
quarantine_count(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	return query_end_bigint(&query, query_run(&query,
											  "SELECT count(*) FROM tandem.quarantined_row q JOIN tandem.sync s ON s.id = q.sync "
											  "WHERE s.migration = $1"));
}

/*-------------------------------------------------------------------------
 * Notes that were there before.
 *-------------------------------------------------------------------------
 */

/*
 * This asks for the transaction that wrote a note, not for its id: one that is
 * open at the time of the snapshot may have drawn a lower id than others that
 * it shows.
 */
#define NOTED_BEFORE "pg_visible_in_snapshot(q.noted_in, $3::pg_snapshot)"

char *
quarantine_snapshot(void)
{
	TandemQuery query;

	query_begin(&query);
	return query_end_text(&query, query_run_latest(&query, "SELECT pg_current_snapshot()::text"));
}

List *
quarantine_relations(int migration_id, const char *before)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, before);
	relids = query_oids(&query,
						"SELECT DISTINCT q.relation::oid FROM tandem.quarantined_row q JOIN tandem.sync s ON s.id = q.sync "
						"WHERE s.migration = $1 AND pg_visible_in_snapshot(q.noted_in, $2::pg_snapshot) ORDER BY 1");
	query_end(&query);
	return relids;
}

List *
quarantine_syncs(int migration_id, Oid relation, const char *before)
{
	TandemQuery query;
	List	   *syncs;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relation);
	query_text(&query, before);
	syncs = query_get_ints(query_run(&query,
									 "SELECT s.id FROM tandem.sync s WHERE s.migration = $1 AND EXISTS ("
									 "SELECT FROM tandem.quarantined_row q WHERE q.sync = s.id AND q.relation = $2::regclass AND " NOTED_BEFORE ") "
									 "ORDER BY 1"));
	query_end(&query);
	return syncs;
}

/* Adds the arguments of a query about NOTED_BEFORE. */
static void
begin_query_before(TandemQuery *query, int sync_id, Oid relation,
				   const char *before)
{
	begin_note_query(query);
	query_int(query, sync_id);
	query_oid(query, relation);
	query_text(query, before);
}

int64
quarantine_count_before(int sync_id, Oid relation, const char *before)
{
	TandemQuery query;

	begin_query_before(&query, sync_id, relation, before);
	return query_end_bigint(&query, query_run(&query,
											  "SELECT count(*) FROM tandem.quarantined_row q "
											  "WHERE q.sync = $1 AND q.relation = $2::regclass AND " NOTED_BEFORE));
}

static void *
read_key_shape(uint64 row)
{
	KeyShape   *shape = palloc(sizeof(KeyShape));
	ListCell   *lc;

	shape->columns = NIL;
	foreach(lc, query_get_strings(row, 1))
		shape->columns = lappend_int(shape->columns, atoi(lfirst(lc)));
	shape->names = query_get_strings(row, 2);
	return shape;
}

List *
quarantine_key_shapes(int sync_id, Oid relation, const char *before)
{
	TandemQuery query;
	List	   *shapes;

	begin_query_before(&query, sync_id, relation, before);
	shapes = query_rows(&query,
						"SELECT k.key_columns::text[], k.key_names FROM ("
						"SELECT DISTINCT q.key_columns, q.key_names FROM tandem.quarantined_row q "
						"WHERE q.sync = $1 AND q.relation = $2::regclass AND " NOTED_BEFORE ") k "
						"WHERE NOT EXISTS (SELECT FROM unnest(k.key_columns) c (number) "
						"LEFT JOIN pg_attribute a ON a.attrelid = $2 AND a.attnum = c.number AND NOT a.attisdropped "
						"WHERE a.attnum IS NULL)",
						read_key_shape);
	query_end(&query);
	return shapes;
}

bool
quarantine_has_key(int sync_id, Oid relation, const char *key)
{
	TandemQuery query;

	begin_query_before(&query, sync_id, relation, key);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.quarantined_row q WHERE " OF_KEY " LIMIT 1"));
}

bool
quarantine_has_row(const RowState *state, const CompiledRule *rule,
				   TupleTableSlot *row)
{
	List	   *columns = row_key_columns(state->rel,
										  row_fallback_names(state->rules, rule));

	return quarantine_has_key(rule->source->id, RelationGetRelid(state->rel),
							  row_columns_json(state->rel, row, columns));
}

/* Returns the lowest hash of a part; all hashes are those of 64 bits. */
static int64
first_hash_of_part(int64 part, int64 parts)
{
	uint64		width = PG_UINT64_MAX / (uint64) parts;

	return (int64) ((uint64) PG_INT64_MIN + width * (uint64) part);
}

/* The parts are ranges of the index, so none looks at what others removed. */
void
quarantine_remove(int sync_id, Oid relation, const char *before, int64 part,
				  int64 parts, bool keep_changed)
{
	TandemQuery query;

	begin_query_before(&query, sync_id, relation, before);
	query_bigint(&query, first_hash_of_part(part, parts));
	query_bigint(&query, part + 1 < parts
				 ? first_hash_of_part(part + 1, parts) - 1 : PG_INT64_MAX);
	query_bool(&query, keep_changed);
	(void) query_run(&query,
					 "WITH old AS MATERIALIZED (SELECT q.id FROM tandem.quarantined_row q "
					 "WHERE q.sync = $1 AND q.relation = $2::regclass AND " NOTED_BEFORE
					 " AND jsonb_hash_extended(q.key, 0) BETWEEN $4 AND $5 "
					 "AND NOT ($6 AND EXISTS (SELECT FROM unnest(q.key_columns, q.key_types) c (number, type) "
					 "LEFT JOIN pg_attribute a ON a.attrelid = $2 AND a.attnum = c.number AND NOT a.attisdropped AND a.atttypid = c.type "
					 "WHERE a.attnum IS NULL)) "
					 "FOR UPDATE OF q SKIP LOCKED) "
					 "DELETE FROM tandem.quarantined_row q USING old WHERE q.id = old.id");
	query_end(&query);
}
