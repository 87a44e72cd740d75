/*
 * step.c
 *		The steps of migrations, and their remaining blocks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "catalog/step.h"
#include "core/extension.h"
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

/* The most keys that a sample of a step has. */
#define STEP_SAMPLE "3"

static const char *const kind_names[] = {
	[STEP_BACKFILL] = "backfill",
	[STEP_INDEX] = "index",
	[STEP_NOT_NULL] = "not null",
	[STEP_CONSTRAINT] = "constraint",
	[STEP_ANALYZE] = "analyze",
	[STEP_VERIFY] = "verify",
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

	foreach(lc, step_list(migration_id, step->kind))
	{
		Step	   *other = lfirst(lc);

		if (other->relation != step->relation ||
			!same_definition_text(other->object, step->object))
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

static void
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

List *
step_list(int migration_id, StepKind kind)
{
	TandemQuery query;
	List	   *steps = NIL;
	uint64		rows;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, kind_names[kind]);
	rows = query_run_latest(&query,
							"SELECT " STEP_COUNTS ", id, relation::oid, state = 'done', "
							"started_at IS NOT NULL AND NOT (kind = 'verify' AND state = 'failed'), storage, blocks_total, "
							"coalesce(batch_blocks, 0), proof, object::text, definition, is_unique, given, "
							"built_indexes, ARRAY(SELECT unnest(changed_tables)::oid::text), uses, refill, calls, refill_derived "
							"FROM tandem.step WHERE migration = $1 AND kind = $2 ORDER BY id");
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
	(void) query_run(&query,
					 "WITH started AS (UPDATE tandem.step SET state = 'pending', storage = $2, blocks_total = $3, "
					 "blocks_todo = int8multirange(int8range(0, $3)), proof = $4, uses = $5, rows_done = 0, "
					 "rows_filled = 0, rows_indexed = 0, rows_quarantined = 0, rows_unfilled = 0, rows_mismatched = 0, rows_own = 0, rows_lossy = 0, "
					 "run_time = '0', started_at = clock_timestamp(), changed_at = clock_timestamp() "
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
	bool		open;

	query_begin(&query);
	query_int(&query, step_id);
	open = query_run(&query,
					 "SELECT FROM tandem.step WHERE id = $1 AND state <> 'done'") > 0;
	query_end(&query);
	return open;
}

void
step_reopen(int step_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	(void) query_run(&query,
					 "UPDATE tandem.step SET state = 'pending', started_at = NULL, proof = NULL WHERE id = $1");
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
					 "WITH finished AS (UPDATE tandem.step SET state = 'done', refill = false, refill_derived = '{}', doing = NULL, units_done = 0, units_total = 0, "
					 "changed_at = clock_timestamp() WHERE id = $1 RETURNING id)"
					 CLEAR_REPORT("finished"));
	query_end(&query);
	step->done = true;
}

void
step_set_error(int step_id, const char *error, const char *hint)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, error);
	query_text(&query, hint);
	(void) query_run(&query,
					 "WITH failed AS (UPDATE tandem.step SET state = 'failed', doing = NULL, changed_at = clock_timestamp() "
					 "WHERE id = $1 RETURNING id) "
					 "INSERT INTO tandem.step_report AS r (step, error, hint) "
					 "SELECT id, left($2, " QUERY_KEPT_TEXT "), left($3, " QUERY_KEPT_TEXT ") FROM failed "
					 "ON CONFLICT (step) DO UPDATE SET error = excluded.error, hint = excluded.hint, waiting = NULL, blockers = NULL");
	query_end(&query);
}

void
step_set_waiting(int step_id, const char *waiting, const char *blockers)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, waiting);
	query_text(&query, blockers);
	if (waiting || blockers)
		(void) query_run(&query,
						 "INSERT INTO tandem.step_report AS r (step, waiting, blockers) "
						 "SELECT id, $2, $3 FROM tandem.step WHERE id = $1 "
						 "ON CONFLICT (step) DO UPDATE SET waiting = $2, blockers = $3 "
						 "WHERE (r.waiting, r.blockers) IS DISTINCT FROM ($2, $3)");
	else
		(void) query_run(&query,
						 "UPDATE tandem.step_report SET waiting = $2, blockers = $3 "
						 "WHERE step = $1 AND (waiting IS NOT NULL OR blockers IS NOT NULL)");
	query_end(&query);
}

void
step_set_doing(int step_id, const char *doing, int64 units_done,
			   int64 units_total)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, doing);
	query_bigint(&query, units_done);
	query_bigint(&query, units_total);
	(void) query_run(&query,
					 "WITH doing AS (UPDATE tandem.step SET doing = $2, units_done = $3, units_total = $4, state = 'pending', "
					 "started_at = coalesce(started_at, clock_timestamp()), changed_at = clock_timestamp() "
					 "WHERE id = $1 AND (doing, units_done, units_total, state) IS DISTINCT FROM ($2, $3, $4, 'pending') RETURNING id) "
					 "UPDATE tandem.step_report r SET error = NULL, hint = NULL FROM doing d WHERE r.step = d.id AND r.error IS NOT NULL");
	query_end(&query);
}

void
step_set_afterwards(int step_id, const char *doing, int64 units_done,
					int64 units_total, const char *blockers)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_text(&query, doing);
	query_bigint(&query, units_done);
	query_bigint(&query, units_total);
	(void) query_run(&query,
					 "UPDATE tandem.step SET doing = $2, units_done = $3, units_total = $4, changed_at = clock_timestamp() "
					 "WHERE id = $1 AND state = 'done' AND (doing, units_done, units_total) IS DISTINCT FROM ($2, $3, $4)");
	query_end(&query);
	step_set_waiting(step_id, NULL, blockers);
}

void
step_forget_afterwards(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "WITH done AS (SELECT id FROM tandem.step WHERE migration = $1 AND state = 'done'), "
					 "told AS (UPDATE tandem.step t SET doing = NULL, units_done = 0, units_total = 0 FROM done d "
					 "WHERE t.id = d.id AND t.doing IS NOT NULL) "
					 "UPDATE tandem.step_report r SET waiting = NULL, blockers = NULL FROM done d "
					 "WHERE r.step = d.id AND (r.waiting, r.blockers) IS DISTINCT FROM (NULL, NULL)");
	query_end(&query);
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
					 "JOIN pg_class c ON c.oid = t.relation WHERE t.migration = $1");
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

/*-------------------------------------------------------------------------
 * The remaining blocks of a step, shared among processes.
 *
 * A chunk of blocks is claimed by a lock on the address of tandem.step.  It is
 * released after the commit of the work.  So the next process that claims it
 * reads from blocks_todo what is left, and each block is done once.
 *-------------------------------------------------------------------------
 */

/* the number of a chunk must fit into 16 bits of a lock tag */
#define MOST_CHUNKS 65000

/* chunks per process if there are several, unless they become too small */
#define REGIONS 8
#define SMALLEST_REGION 64

/*
 * its pages should stay in memory, and moved rows need new pages until it is
 * done
 */
#define LARGEST_REGION 2048

BlockNumber
step_chunk_blocks(const Step *step, int workers)
{
	BlockNumber share = workers > 1
	? step->blocks_total / (workers * REGIONS) : step->blocks_total;
	BlockNumber blocks = Min(Max(share, SMALLEST_REGION), LARGEST_REGION);

	return Max(blocks, step->blocks_total / MOST_CHUNKS + 1);
}

static LOCKTAG
chunk_lock_tag(const Step *step, BlockNumber chunk)
{
	LOCKTAG		tag;
	Oid			classid = extension_relation("step", false);

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, classid, step->id,
					   Min(chunk, PG_UINT16_MAX));
	return tag;
}

bool
step_claim_chunk(const Step *step, BlockNumber chunk)
{
	LOCKTAG		tag = chunk_lock_tag(step, chunk);

	return LockAcquire(&tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

void
step_leave_chunk(const Step *step, BlockNumber chunk)
{
	LOCKTAG		tag = chunk_lock_tag(step, chunk);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * Reads the first ranges of blocks_todo from from to before to, up to most
 * blocks altogether, as of now.  Returns false if there are none.
 */
static bool
read_first_block_ranges(int step_id, int64 from, int64 to, int most,
						Blocks *blocks)
{
	TandemQuery query;
	int			count;

	query_begin(&query);
	query_int(&query, step_id);
	query_bigint(&query, from);
	query_bigint(&query, to);
	query_int(&query, most);
	query_int(&query, MOST_RANGES);
	count = query_run_latest(&query,
							 "SELECT lower(r), least(upper(r), lower(r) + $4) - 1 FROM tandem.step, "
							 "unnest(blocks_todo * int8multirange(int8range($2, $3))) r "
							 "WHERE id = $1 ORDER BY 1 LIMIT $5");
	blocks->nranges = 0;
	for (int i = 0; i < count && most > 0; i++)
	{
		BlockRange *range = &blocks->ranges[blocks->nranges++];

		range->first = (BlockNumber) query_get_bigint(i, 1);
		range->last = (BlockNumber) query_get_bigint(i, 2);
		range->last = Min(range->last, range->first + most - 1);
		most -= range->last - range->first + 1;
	}
	query_end(&query);
	return blocks->nranges > 0;
}

static BlockNumber
blocks_last(const Blocks *blocks)
{
	return blocks->ranges[blocks->nranges - 1].last;
}

int
blocks_count(const Blocks *blocks)
{
	int			count = 0;

	for (int i = 0; i < blocks->nranges; i++)
		count += blocks->ranges[i].last - blocks->ranges[i].first + 1;
	return count;
}

void
blocks_cut(Blocks *blocks, BlockNumber last)
{
	while (blocks->nranges > 1 &&
		   blocks->ranges[blocks->nranges - 1].first > last)
		blocks->nranges--;
	blocks->ranges[blocks->nranges - 1].last = Min(blocks_last(blocks), last);
}

bool
step_next_blocks(const Step *step, BlockNumber *cursor, int64 end, int most,
				 Blocks *blocks)
{
	if (*cursor >= end ||
		!read_first_block_ranges(step->id, *cursor, end, most, blocks))
		return false;
	*cursor = blocks_last(blocks) + 1;
	return true;
}

bool
step_first_block(const Step *step, int64 from, BlockNumber *block)
{
	Blocks		blocks;

	if (!read_first_block_ranges(step->id, from, (int64) MaxBlockNumber + 1,
								 1, &blocks))
		return false;
	*block = blocks.ranges[0].first;
	return true;
}

/* Returns ascending blocks as the text of an int8multirange. */
static char *
blocks_as_text(List *blocks)
{
	StringInfoData text;
	int			count = list_length(blocks);

	initStringInfo(&text);
	for (int i = 0; i < count; i++)
	{
		BlockNumber first = list_nth_oid(blocks, i);
		BlockNumber last = first;

		while (i + 1 < count && list_nth_oid(blocks, i + 1) == last + 1)
			last = list_nth_oid(blocks, ++i);
		appendStringInfo(&text, "%s[%u,%u]", text.len ? "," : "", first, last);
	}
	return psprintf("{%s}", text.data);
}

/* Keys of rows go into tandem.step_report, which is in no dump. */
static void
add_to_samples(int step_id, const StepAdvance *advance)
{
	TandemQuery query;

	if (advance->wrong == NIL && advance->lossy == NIL)
		return;
	query_begin(&query);
	query_int(&query, step_id);
	query_datum(&query, TEXTARRAYOID, array_from_strings(advance->wrong, TEXTOID), false);
	query_datum(&query, TEXTARRAYOID, array_from_strings(advance->lossy, TEXTOID), false);
	(void) query_run(&query,
					 "INSERT INTO tandem.step_report AS r (step, wrong_rows, lossy_rows) "
					 "SELECT id, ($2::jsonb[])[:" STEP_SAMPLE "], ($3::jsonb[])[:" STEP_SAMPLE "] FROM tandem.step WHERE id = $1 "
					 "ON CONFLICT (step) DO UPDATE SET wrong_rows = (r.wrong_rows || excluded.wrong_rows)[:" STEP_SAMPLE "], "
					 "lossy_rows = (r.lossy_rows || excluded.lossy_rows)[:" STEP_SAMPLE "]");
	query_end(&query);
}

void
step_advance(Step *step, const Blocks *blocks, List *again,
			 const StepAdvance *advance)
{
	TandemQuery query;

	step->batch_blocks = advance->batch_blocks;
	query_begin(&query);
	query_int(&query, step->id);
	/* blocks between two ranges are not on the list */
	query_bigint(&query, blocks->ranges[0].first);
	query_bigint(&query, blocks_last(blocks));
	query_text(&query, blocks_as_text(again));
	query_bigint(&query, advance->rows_done);
	query_bigint(&query, advance->rows_filled);
	query_bigint(&query, advance->rows_quarantined);
	query_bigint(&query, advance->rows_unfilled);
	query_bigint(&query, advance->rows_mismatched);
	query_bigint(&query, advance->rows_indexed);
	query_int(&query, advance->batch_blocks);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->seconds), false);
	query_bigint(&query, advance->rows_own);
	query_bigint(&query, advance->rows_lossy);
	if (query_run(&query,
				  "UPDATE tandem.step SET blocks_todo = blocks_todo "
				  "- int8multirange(int8range($2, $3, '[]')) "
				  "+ $4::int8multirange, "
				  "rows_done = rows_done + $5, rows_filled = rows_filled + $6, "
				  "rows_quarantined = rows_quarantined + $7, rows_unfilled = rows_unfilled + $8, "
				  "rows_mismatched = rows_mismatched + $9, rows_indexed = rows_indexed + $10, "
				  "rows_own = rows_own + $13, rows_lossy = rows_lossy + $14, "
				  "batch_blocks = $11, run_time = run_time + make_interval(secs => $12), "
				  "changed_at = clock_timestamp() WHERE id = $1 RETURNING " STEP_COUNTS) > 0)
		step_take_counts(step, 0);
	query_end(&query);
	add_to_samples(step->id, advance);
	step_set_waiting(step->id, advance->waiting, advance->blockers);
}
