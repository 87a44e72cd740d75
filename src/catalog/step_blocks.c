/*
 * step_blocks.c
 *		The remaining blocks of a step, and what a batch adds to it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "catalog/step.h"
#include "core/clock.h"
#include "core/extension.h"
#include "core/query.h"

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

bool
step_claim_chunk(const Step *step, BlockNumber chunk, LOCKTAG *claim)
{
	Oid			classid = extension_relation("step", false);

	SET_LOCKTAG_OBJECT(*claim, MyDatabaseId, classid, step->id,
					   Min(chunk, PG_UINT16_MAX));
	return LockAcquire(claim, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

void
step_leave_chunk(const LOCKTAG *claim)
{
	(void) LockRelease(claim, ExclusiveLock, true);
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

/*
 * The time since the last batch of any process counts in the pace of a step: so
 * the time in which several work on it counts once.  $15 is now, $16 since when
 * this process is at work, $17 its seconds in VACUUM.  A first batch, and the
 * first one after a pause, says nothing of the rests between two.  A single
 * long wait says nothing of the others.
 */
#define PACE_COUNTS "counted_to BETWEEN $16 AND $15"
#define BATCH_SECONDS "least(($15 - counted_to) / 1e6::float8 - CASE WHEN $17 * 1e6 < $15 - counted_to THEN $17 ELSE 0 END, 60)"

/* Weighs the time before a batch: it counts the last minute, or more of a long step. */
#define BEFORE_BATCH "exp(- (" BATCH_SECONDS ") / least(greatest(extract(epoch FROM wall_time)::float8 / 4, 60), 900))"

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
	query_bigint(&query, clock_now());
	query_bigint(&query, advance->counted_from);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->vacuum_seconds), false);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->blocks), false);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->partly), false);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->vacuum_length), false);
	query_int(&query, advance->vacuums_left);
	if (query_run(&query,
				  "UPDATE tandem.step SET blocks_todo = blocks_todo "
				  "- int8multirange(int8range($2, $3, '[]')) "
				  "+ $4::int8multirange, "
				  "rows_done = rows_done + $5, rows_filled = rows_filled + $6, "
				  "rows_quarantined = rows_quarantined + $7, rows_unfilled = rows_unfilled + $8, "
				  "rows_mismatched = rows_mismatched + $9, rows_indexed = rows_indexed + $10, "
				  "rows_own = rows_own + $13, rows_lossy = rows_lossy + $14, "
				  "batch_blocks = $11, run_time = run_time + make_interval(secs => $12), "
				  "wall_time = wall_time + make_interval(secs => greatest($15 - greatest($16, CASE WHEN counted_to <= $15 THEN counted_to END), 0) / 1e6::float8), "
				  "late_seconds = CASE WHEN " PACE_COUNTS " THEN late_seconds * " BEFORE_BATCH " + " BATCH_SECONDS " ELSE late_seconds END, "
				  "late_blocks = CASE WHEN " PACE_COUNTS " THEN greatest(late_blocks * " BEFORE_BATCH " + $18, 0) ELSE late_blocks END, "
				  "counted_to = $15, last_blocks = greatest($18, 0), blocks_partly = greatest(blocks_partly + $19, 0), "
				  "vacuum_length = CASE WHEN $21 < 0 THEN vacuum_length ELSE $20 END, vacuums_left = CASE WHEN $21 < 0 THEN vacuums_left ELSE $21 END, "
				  "changed_at = clock_timestamp() WHERE id = $1 RETURNING " STEP_COUNTS) > 0)
		step_take_counts(step, 0);
	query_end(&query);
	add_to_samples(step->id, advance);
	step_set_waiting(step->id, advance->waiting, advance->blockers);
}
