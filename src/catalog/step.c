/*
 * step.c
 *		The steps of migrations, and their remaining blocks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "catalog/step.h"
#include "core/query.h"

/*-------------------------------------------------------------------------
 * Rows of tandem.step: the steps of phase migrate.
 *-------------------------------------------------------------------------
 */

/*
 * The end of a query that clears what is reported of the steps in a CTE, but
 * for their samples.
 */
#define CLEAR_REPORT(steps) \
	", kept AS (UPDATE tandem.step_report r SET waiting = NULL, blockers = NULL, error = NULL, hint = NULL " \
	"FROM " steps " f WHERE r.step = f.id AND r.wrong_rows || r.lossy_rows <> '{}') " \
	"DELETE FROM tandem.step_report r USING " steps " f WHERE r.step = f.id AND r.wrong_rows || r.lossy_rows = '{}'"

static const char *const kind_names[] = {
	[STEP_BACKFILL] = "backfill",
	[STEP_INDEX] = "index",
	[STEP_NOT_NULL] = "not null",
	[STEP_CONSTRAINT] = "constraint",
	[STEP_ANALYZE] = "analyze",
	[STEP_VERIFY] = "verify",
	[STEP_AFTER_SWITCH] = "after switch",
};

const char *
step_kind_name(StepKind kind)
{
	return kind_names[kind];
}

void
step_ensure(int migration_id, StepKind kind, List *relids)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	query_oid_list(&query, relids);
	(void) query_run(&query,
					 "INSERT INTO tandem.step (migration, kind, relation) "
					 "SELECT $1, $2, r::regclass FROM unnest($3) r ON CONFLICT DO NOTHING");
	query_end(&query);
}

void
step_note_empty(int migration_id, Oid relid, const char *table_file,
				const char *trigger_version, const char *uses)
{
	TandemQuery query;

	query_begin(&query);

	/*
	 * the partition may have been here before, and been detached and emptied
	 */
	query_int(&query, migration_id);
	query_oid(&query, relid);
	(void) query_run(&query,
					 "WITH gone AS (DELETE FROM tandem.step WHERE migration = $1 AND relation = $2 "
					 "AND kind IN ('backfill', 'verify') RETURNING id) "
					 "DELETE FROM tandem.step_report r USING gone g WHERE r.step = g.id");
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_text(&query, table_file);
	query_text(&query, trigger_version);
	query_text(&query, uses);
	(void) query_run(&query,
					 "INSERT INTO tandem.step (migration, kind, relation, state, storage, proof, uses, started_at, changed_at) "
					 "SELECT m.id, k.kind, $2::regclass, 'done', $3, $4, CASE k.kind WHEN 'verify' THEN $5 END, clock_timestamp(), clock_timestamp() "
					 "FROM tandem.migration m, unnest('{backfill,verify}'::text[]) k (kind) "
					 "WHERE m.id = $1 AND m.phase IN ('migrate', 'contract')");
	query_end(&query);
}

static bool
same_definition_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
step_add(int migration_id, const Step *step)
{
	ListCell   *lc;
	TandemQuery query;

	foreach(lc, step_list_of_tables(migration_id, step->kind,
									list_make1_oid(step->relation)))
	{
		Step	   *other = lfirst(lc);

		if (!same_definition_text(other->object, step->object))
			continue;
		if (same_definition_text(other->definition, step->definition) &&
			other->is_unique == step->is_unique)
			return false;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("the migration already has another %s \"%s\"",
						kind_names[step->kind], step->object),
				 errdetail("Recorded: %s%s. Given: %s%s.",
						   other->is_unique ? "UNIQUE " : "", other->definition,
						   step->is_unique ? "UNIQUE " : "", step->definition),
				 errhint("Choose another name.")));
	}
	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[step->kind]);
	query_oid(&query, step->relation);
	query_text(&query, step->object);
	query_text(&query, step->definition);
	query_bool(&query, step->is_unique);
	query_text(&query, step->given);
	query_text(&query, step->calls);
	(void) query_run(&query,
					 "INSERT INTO tandem.step (migration, kind, relation, object, definition, is_unique, given, calls) "
					 "VALUES ($1, $2, $3::regclass, $4::name, $5, $6, $7, $8)");
	query_end(&query);
	return true;
}

bool
step_add_not_null(int migration_id, Oid relid, char *column)
{
	Step		step = {
		.kind = STEP_NOT_NULL,
		.relation = relid,
		.object = column,
	};

	return step_add(migration_id, &step);
}

void
step_delete_build(int migration_id, Oid relid, const char *object)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, object);
	(void) query_run(&query,
					 "DELETE FROM tandem.step WHERE migration = $1 AND relation = $2::regclass AND object = $3 "
					 "AND kind IN ('index', 'constraint')");
	query_end(&query);
}

void
step_keep_only(int migration_id, List *relids)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid_list(&query, relids);
	(void) query_run(&query,
					 "WITH gone AS (DELETE FROM tandem.step "
					 "WHERE migration = $1 AND kind IN ('backfill', 'verify') AND NOT relation::oid = ANY ($2) RETURNING id) "
					 "DELETE FROM tandem.step_report r USING gone g WHERE r.step = g.id");
	query_end(&query);
}

int
step_of_tables(int migration_id, StepKind kind, List *relids)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	query_oid_list(&query, relids);
	return query_end_int(&query, query_run_latest(&query,
												  "SELECT s.id FROM unnest($3::regclass[]) AS wanted, LATERAL ("
												  "SELECT id FROM tandem.step WHERE migration = $1 AND kind = $2 AND relation = wanted OFFSET 0) s "
												  "ORDER BY 1 LIMIT 1"));
}

void
step_note_sizes(int migration_id, List *relids, List *blocks)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid_list(&query, relids);
	query_oid_list(&query, blocks);
	/* one look into the index for each, however many the plan expects */
	(void) query_run(&query,
					 "UPDATE tandem.step t SET blocks_total = s.blocks::bigint FROM (SELECT w.id, u.blocks "
					 "FROM unnest($2, $3) u (relation, blocks), (VALUES ('backfill'), ('verify')) k (kind), LATERAL ("
					 "SELECT id FROM tandem.step WHERE migration = $1 AND kind = k.kind AND relation = u.relation::regclass OFFSET 0) w) s "
					 "WHERE t.id = s.id AND t.state = 'pending' AND t.started_at IS NULL");
	query_end(&query);
}

Step *
step_find(List *steps, Oid relid)
{
	ListCell   *lc;

	foreach(lc, steps)
	{
		if (((Step *) lfirst(lc))->relation == relid)
			return lfirst(lc);
	}
	return NULL;
}

void
step_take_counts(Step *step, uint64 row)
{
	step->rows_done = query_get_bigint(row, 1);
	step->rows_filled = query_get_bigint(row, 2);
	step->rows_indexed = query_get_bigint(row, 3);
	step->rows_quarantined = query_get_bigint(row, 4);
	step->rows_unfilled = query_get_bigint(row, 5);
	step->rows_mismatched = query_get_bigint(row, 6);
	step->blocks_left = query_get_bigint(row, 7);
	step->rows_own = query_get_bigint(row, 8);
	step->rows_lossy = query_get_bigint(row, 9);
}

static List *
oids_from_strings(List *strings)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, strings)
		oids = lappend_oid(oids, (Oid) strtoul(lfirst(lc), NULL, 10));
	return oids;
}

#define STEP_SELECT \
	"SELECT " STEP_COUNTS ", id, relation::oid, state = 'done', " \
	"started_at IS NOT NULL AND NOT (kind = 'verify' AND state = 'failed'), storage, blocks_total, " \
	"coalesce(batch_blocks, 0), proof, object::text, definition, is_unique, given, " \
	"built_indexes, ARRAY(SELECT unnest(changed_tables)::oid::text), uses, refill, calls, refill_derived "

/* sql begins with STEP_SELECT. */
static List *
steps_from_query(TandemQuery *query, StepKind kind, int migration_id,
				 const char *sql)
{
	List	   *steps = NIL;
	uint64		rows = query_run_latest(query, sql);

	for (uint64 row = 0; row < rows; row++)
	{
		Step	   *step = palloc0(sizeof(Step));

		step_take_counts(step, row);
		step->kind = kind;
		step->migration_id = migration_id;
		step->id = query_get_int(row, 10);
		step->relation = query_get_oid(row, 11);
		step->done = query_get_bool(row, 12);
		step->started = query_get_bool(row, 13);
		step->table_file = query_get_text(row, 14);
		step->blocks_total = query_get_bigint(row, 15);
		step->batch_blocks = query_get_int(row, 16);
		step->trigger_version = query_get_text(row, 17);
		step->object = query_get_text(row, 18);
		step->definition = query_get_text(row, 19);
		step->is_unique = query_get_bool(row, 20);
		step->given = query_get_text(row, 21);
		step->built_indexes = query_get_strings(row, 22);
		step->changed_tables = oids_from_strings(query_get_strings(row, 23));
		step->uses = query_get_text(row, 24);
		step->refill = query_get_bool(row, 25);
		step->calls = query_get_text(row, 26);
		step->refill_derived = query_get_int_list(row, 27);
		steps = lappend(steps, step);
	}
	return steps;
}

List *
step_list(int migration_id, StepKind kind)
{
	TandemQuery query;
	List	   *steps;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	steps = steps_from_query(&query, kind, migration_id,
	/* a foreign key may refer to a key of the migration */
							 STEP_SELECT "FROM tandem.step WHERE migration = $1 AND kind = $2 ORDER BY coalesce(definition LIKE 'FOREIGN KEY %', false), id");
	query_end(&query);
	return steps;
}

List *
step_list_of_tables(int migration_id, StepKind kind, List *relids)
{
	TandemQuery query;
	List	   *steps;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	query_oid_list(&query, relids);

	/*
	 * one look into the index for each table: a plan does not know how many
	 * others there are
	 */
	steps = steps_from_query(&query, kind, migration_id,
							 STEP_SELECT "FROM unnest($3) t (wanted) CROSS JOIN LATERAL ("
							 "SELECT * FROM tandem.step WHERE migration = $1 AND kind = $2 AND relation = wanted OFFSET 0) s "
							 "ORDER BY id");
	query_end(&query);
	return steps;
}

void
step_start(Step *step, const char *table_file, BlockNumber blocks,
		   const char *trigger_version, const char *uses)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step->id);
	query_text(&query, table_file);
	query_bigint(&query, blocks);
	query_text(&query, trigger_version);
	query_text(&query, uses);
	query_text(&query, step_phase_name(step_work_phase(step)));
	(void) query_run(&query,
					 "WITH started AS (UPDATE tandem.step SET state = 'pending', storage = $2, blocks_total = $3, "
					 "blocks_todo = int8multirange(int8range(0, $3)), proof = $4, uses = $5, rows_done = 0, "
					 "rows_filled = 0, rows_indexed = 0, rows_quarantined = 0, rows_unfilled = 0, rows_mismatched = 0, rows_own = 0, rows_lossy = 0, "
					 "phase = $6, blocks_partly = 0, wall_time = '0', counted_to = NULL, late_seconds = 0, late_blocks = 0, last_blocks = 0, "
					 "vacuum_length = 0, vacuums_left = 0, run_time = '0', started_at = clock_timestamp(), changed_at = clock_timestamp() "
					 "WHERE id = $1 AND (started_at IS NULL OR (storage, proof, uses) IS DISTINCT FROM ($2, $4, $5)) RETURNING id) "
					 "DELETE FROM tandem.step_report r USING started s WHERE r.step = s.id");
	step->table_file = MemoryContextStrdup(GetMemoryChunkContext(step),
										   table_file);
	step->trigger_version = trigger_version
		? MemoryContextStrdup(GetMemoryChunkContext(step),
							  trigger_version) : NULL;
	step->uses = uses ? MemoryContextStrdup(GetMemoryChunkContext(step), uses) : NULL;
	step->blocks_total = step->blocks_left = blocks;
	step->rows_done = step->rows_filled = step->rows_indexed = 0;
	step->rows_quarantined = 0;
	step->rows_unfilled = step->rows_mismatched = 0;
	step->rows_own = step->rows_lossy = 0;
	step->started = true;
	step->done = false;
	query_end(&query);
}

void
step_refresh(Step *step)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step->id);
	if (query_run(&query,
				  "SELECT " STEP_COUNTS " FROM tandem.step WHERE id = $1") > 0)
		step_take_counts(step, 0);
	query_end(&query);
}

void
step_progress(int step_id, StepProgress *progress)
{
	TandemQuery query;

	memset(progress, 0, sizeof(StepProgress));
	progress->seconds_left = -1;
	query_begin(&query);
	query_int(&query, step_id);
	if (query_run_latest(&query,
						 "SELECT blocks_done, blocks_total, greatest(rows_done, rows_filled), coalesce(rows_per_second, 0)::bigint, "
						 "coalesce(seconds_left * 1000, -1)::bigint FROM tandem.stat_progress WHERE step_id = $1") > 0)
	{
		progress->blocks_done = query_get_bigint(0, 1);
		progress->blocks_total = query_get_bigint(0, 2);
		progress->rows_done = query_get_bigint(0, 3);
		progress->rows_per_second = query_get_bigint(0, 4);
		progress->seconds_left = query_get_bigint(0, 5) / 1000.0;
	}
	query_end(&query);
}

void
step_sum_rows(int migration_id, StepKind kind, StepRows *rows)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	(void) query_run(&query,
					 "WITH s AS (SELECT id, rows_lossy FROM tandem.step WHERE migration = $1 AND kind = $2), "
					 "r AS (SELECT r.step, r.lossy_rows, r.wrong_rows FROM tandem.step_report r WHERE r.step IN (SELECT id FROM s)) "
					 "SELECT coalesce((SELECT sum(rows_lossy) FROM s), 0)::bigint, "
					 "ARRAY(SELECT k::text FROM r, unnest(lossy_rows) k ORDER BY r.step LIMIT " STEP_SAMPLE "), "
					 "ARRAY(SELECT k::text FROM r, unnest(wrong_rows) k ORDER BY r.step LIMIT " STEP_SAMPLE ")");
	rows->lossy = query_get_bigint(0, 1);
	rows->lossy_keys = query_get_strings(0, 2);
	rows->wrong_keys = query_get_strings(0, 3);
	query_end(&query);
}

bool
step_is_open(int step_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.step WHERE id = $1 AND state <> 'done'"));
}

void
step_reopen(int step_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	(void) query_run(&query,
					 "UPDATE tandem.step SET state = 'pending', started_at = NULL, proof = NULL, phase = NULL, blocks_partly = 0 WHERE id = $1");
	query_end(&query);
}

void
step_forget_errors(int migration_id, StepKind kind)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	(void) query_run(&query,
					 "WITH failed AS (UPDATE tandem.step SET state = 'pending' "
					 "WHERE migration = $1 AND kind = $2 AND state = 'failed' RETURNING id)"
					 CLEAR_REPORT("failed"));
	query_end(&query);
}

void
step_restart(int migration_id, List *relids)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid_list(&query, relids);
	(void) query_run(&query,
					 "UPDATE tandem.step SET state = 'pending', started_at = NULL, proof = NULL "
					 "WHERE migration = $1 AND relation::oid = ANY ($2)");
	query_end(&query);
}

void
step_refill(int migration_id, List *relids, List *derived)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid_list(&query, relids);
	query_int_list(&query, derived);
	(void) query_run(&query,
					 "UPDATE tandem.step SET state = 'pending', started_at = NULL, proof = NULL, refill = kind = 'backfill', "
					 "refill_derived = CASE WHEN kind = 'backfill' THEN ARRAY(SELECT unnest(refill_derived) UNION SELECT unnest($3)) ELSE '{}' END "
					 "WHERE migration = $1 AND kind IN ('backfill', 'verify') AND relation::oid = ANY ($2)");
	query_end(&query);
}

void
step_finish(Step *step)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step->id);
	(void) query_run(&query,
					 "WITH finished AS (UPDATE tandem.step SET state = 'done', refill = false, refill_derived = '{}', phase = NULL, doing = NULL, units_done = 0, units_total = 0, "
					 "changed_at = clock_timestamp() WHERE id = $1 RETURNING id)"
					 CLEAR_REPORT("finished"));
	query_end(&query);
	step->done = true;
}

static void
update_built_indexes(int step_id, const char *name, const char *sql)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_name(&query, name);
	(void) query_run(&query, sql);
	query_end(&query);
}

void
step_note_index(int step_id, const char *name)
{
	update_built_indexes(step_id, name,
						 "UPDATE tandem.step SET built_indexes = built_indexes || $2 WHERE id = $1 AND $2 <> ALL (built_indexes)");
}

void
step_forget_index(int step_id, const char *name)
{
	update_built_indexes(step_id, name,
						 "UPDATE tandem.step SET built_indexes = array_remove(built_indexes, $2) WHERE id = $1");
}

void
step_note_table(int step_id, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_oid(&query, relid);
	(void) query_run(&query,
					 "UPDATE tandem.step SET changed_tables = changed_tables || $2::regclass "
					 "WHERE id = $1 AND $2::regclass <> ALL (changed_tables)");
	query_end(&query);
}

bool
step_has_built(const Step *step, const char *name)
{
	ListCell   *lc;

	foreach(lc, step->built_indexes)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

bool
step_all_done(int migration_id)
{
	TandemQuery query;
	bool		done;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "SELECT coalesce(bool_and(t.state = 'done'), true) FROM tandem.step t "
					 "JOIN pg_class c ON c.oid = t.relation WHERE t.migration = $1 AND t.kind <> 'after switch'");
	done = query_get_bool(0, 1);
	query_end(&query);
	return done;
}

void
step_carry_proofs(List *relids, List *before, List *after)
{
	TandemQuery query;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_datum(&query, TEXTARRAYOID, array_from_strings(before, TEXTOID), false);
	query_datum(&query, TEXTARRAYOID, array_from_strings(after, TEXTOID), false);
	(void) query_run(&query,
					 "UPDATE tandem.step t SET proof = c.after FROM unnest($1, $2, $3) c (relation, before, after) "
					 "WHERE t.relation = c.relation AND t.proof = c.before AND c.after IS NOT NULL");
	query_end(&query);
}

void
step_follow_renamed(Oid relid, const char *column, const char *new_name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, column);
	query_name(&query, new_name);
	(void) query_run(&query,
					 "UPDATE tandem.step t SET object = $3 FROM tandem.migration m "
					 "WHERE m.id = t.migration AND m.phase NOT IN ('done', 'aborted') "
					 "AND t.relation = $1 AND t.kind = 'not null' AND t.object = $2");
	query_end(&query);
}
