/*
 * step_blocks.c
 *		The blocks that a step has left, shared out among processes.
 *
 * A claim is a lock on a chunk of blocks, on the address of tandem.step, until
 * the end of the transaction.  It is given back after the commit is seen by
 * everybody, so whoever gets the chunk next finds in blocks_todo what is left
 * of it: each block is done once.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"

#include "catalog/step_blocks.h"
#include "core/query.h"

/* a lock tag has 16 bits for the chunk */
#define MOST_CHUNKS 65000
#define SMALLEST_CHUNK 16

static BlockNumber
chunk_size(const Step *step)
{
	return Max(SMALLEST_CHUNK, step->blocks_total / MOST_CHUNKS + 1);
}

static bool
claim_chunk(const Step *step, BlockNumber chunk)
{
	LOCKTAG		tag;
	Oid			classid = get_relname_relid("step",
											get_namespace_oid("tandem", false));

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, classid, step->id,
					   Min(chunk, PG_UINT16_MAX));
	return LockAcquire(&tag, ExclusiveLock, false, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Claims the chunks of blocks first to *last, as many as are to be had in a
 * row; false: not even the first.
 */
static bool
claim_blocks(const Step *step, BlockNumber first, BlockNumber *last)
{
	BlockNumber size = chunk_size(step);

	for (BlockNumber chunk = first / size; chunk <= *last / size; chunk++)
	{
		if (claim_chunk(step, chunk))
			continue;
		if (chunk == first / size)
			return false;
		*last = chunk * size - 1;
		break;
	}
	return true;
}

/* The same of all ranges; the first that is not to be had ends them. */
static bool
claim_ranges(const Step *step, Blocks *blocks)
{
	for (int i = 0; i < blocks->nranges; i++)
	{
		BlockNumber last = blocks->ranges[i].last;

		if (!claim_blocks(step, blocks->ranges[i].first,
						  &blocks->ranges[i].last))
		{
			blocks->nranges = i;
			return i > 0;
		}
		if (blocks->ranges[i].last < last)
			blocks->nranges = i + 1;
	}
	return true;
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

BlocksLeft
step_next_blocks(const Step *step, BlockNumber *cursor, int64 end, int most,
				 Blocks *blocks)
{
	BlockNumber size = chunk_size(step);
	int64		from = *cursor;
	bool		others = false;

	while (from < end &&
		   first_ranges(step->id, from, end, most, blocks))
	{
		int64		first = blocks->ranges[0].first;
		int64		behind;

		if (!claim_ranges(step, blocks))
		{
			others = true;
			from = (first / size + 1) * size;
			continue;
		}
		behind = (int64) blocks_last(blocks) + 1;
		/* what another has done between the look and the claim is gone */
		if (first_ranges(step->id, first, behind, most, blocks))
		{
			*cursor = (BlockNumber) behind;
			return BLOCKS_CLAIMED;
		}
		from = behind;
	}
	return others ? BLOCKS_OF_OTHERS : BLOCKS_NONE;
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

	step->rows_done += advance->rows_done;
	step->rows_filled += advance->rows_filled;
	step->rows_quarantined += advance->rows_quarantined;
	step->rows_unfilled += advance->rows_unfilled;
	step->rows_mismatched += advance->rows_mismatched;
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
	query_text(&query, advance->sample);
	query_text(&query, advance->blockers);
	query_int(&query, advance->batch_blocks);
	query_datum(&query, FLOAT8OID, Float8GetDatum(advance->seconds), false);
	(void) query_run(&query,
					 "UPDATE tandem.step SET blocks_todo = blocks_todo "
					 "- int8multirange(int8range($2, $3, '[]')) "
					 "+ $4::int8multirange, "
					 "rows_done = rows_done + $5, rows_filled = rows_filled + $6, "
					 "rows_quarantined = rows_quarantined + $7, rows_unfilled = rows_unfilled + $8, "
					 "rows_mismatched = rows_mismatched + $9, sample = coalesce($10::jsonb, sample), "
					 "waiting = NULL, blockers = $11, batch_blocks = $12, run_time = run_time + make_interval(secs => $13), "
					 "changed_at = clock_timestamp() WHERE id = $1");
	query_end(&query);
}

int64
step_blocks_left(Step *step)
{
	TandemQuery query;
	int64		left;

	query_begin(&query);
	query_int(&query, step->id);
	(void) query_run(&query,
					 "SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM tandem.step, unnest(blocks_todo) r WHERE id = $1");
	left = query_get_bigint(0, 1);
	query_end(&query);
	return left;
}
