/*
 * step_blocks.c
 *		The blocks that a step has left, shared out among processes.
 *
 * A region of blocks is claimed by a lock on the address of tandem.step.  It is
 * given back after the commit of what was done in it, so whoever claims it next
 * finds in blocks_todo what is left of it: each block is done once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "catalog/step_blocks.h"
#include "core/extension.h"
#include "core/query.h"

/* a lock tag has 16 bits for the number of a region */
#define MOST_REGIONS 65000

/* so many for each of several processes, unless they would be too small */
#define REGIONS 8
#define SMALLEST_REGION 64

/* its pages are to stay in memory, and rows that move need new pages until it is done */
#define LARGEST_REGION 2048

BlockNumber
step_region_blocks(const Step *step, int workers)
{
	BlockNumber share = workers > 1
	? step->blocks_total / (workers * REGIONS) : step->blocks_total;
	BlockNumber blocks = Min(Max(share, SMALLEST_REGION), LARGEST_REGION);

	return Max(blocks, step->blocks_total / MOST_REGIONS + 1);
}

static LOCKTAG
region_tag(const Step *step, BlockNumber region)
{
	LOCKTAG		tag;
	Oid			classid = extension_relation("step", false);

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, classid, step->id,
					   Min(region, PG_UINT16_MAX));
	return tag;
}

bool
step_claim_region(const Step *step, BlockNumber region)
{
	LOCKTAG		tag = region_tag(step, region);

	return LockAcquire(&tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

void
step_leave_region(const Step *step, BlockNumber region)
{
	LOCKTAG		tag = region_tag(step, region);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * The first ranges of blocks_todo at or after from and before to, most blocks
 * altogether, as they are now; false: there is none.
 */
static bool
first_ranges(int step_id, int64 from, int64 to, int most, Blocks *blocks)
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
		!first_ranges(step->id, *cursor, end, most, blocks))
		return false;
	*cursor = blocks_last(blocks) + 1;
	return true;
}

bool
step_first_block(const Step *step, int64 from, BlockNumber *block)
{
	Blocks		blocks;

	if (!first_ranges(step->id, from, (int64) MaxBlockNumber + 1, 1, &blocks))
		return false;
	*block = blocks.ranges[0].first;
	return true;
}

/* Ascending blocks as the text of an int8multirange. */
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

void
step_advance(Step *step, const Blocks *blocks, List *again,
			 const StepAdvance *advance)
{
	TandemQuery query;

	step->batch_blocks = advance->batch_blocks;
	query_begin(&query);
	query_int(&query, step->id);
	/* what lies between two ranges was not on the list, and is nobody's */
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
	if (query_run(&query,
				  "UPDATE tandem.step SET blocks_todo = blocks_todo "
				  "- int8multirange(int8range($2, $3, '[]')) "
				  "+ $4::int8multirange, "
				  "rows_done = rows_done + $5, rows_filled = rows_filled + $6, "
				  "rows_quarantined = rows_quarantined + $7, rows_unfilled = rows_unfilled + $8, "
				  "rows_mismatched = rows_mismatched + $9, rows_indexed = rows_indexed + $10, "
				  "batch_blocks = $11, run_time = run_time + make_interval(secs => $12), "
				  "changed_at = clock_timestamp() WHERE id = $1 RETURNING " STEP_COUNTS) > 0)
		step_take_counts(step, 0);
	query_end(&query);
	step_set_waiting(step->id, advance->waiting, advance->blockers);
}
