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
#include "catalog/step_blocks.h"
#include "core/query.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"

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

/*
 * The first range of blocks_todo at or after from and before to, cut to most
 * blocks, as it is now.
 */
static bool
first_range(int step_id, int64 from, int64 to, int most, BlockNumber *first,
			BlockNumber *last)
{
	TandemQuery query;
	bool		found;

	query_begin(&query);
	query_int(&query, step_id);
	query_bigint(&query, from);
	query_bigint(&query, to);
	query_int(&query, most);
	found = query_run_latest(&query,
							 "SELECT lower(r), least(upper(r), lower(r) + $4) - 1 FROM tandem.step, "
							 "unnest(blocks_todo * int8multirange(int8range($2, $3))) r "
							 "WHERE id = $1 ORDER BY 1 LIMIT 1") > 0;
	if (found)
	{
		*first = (BlockNumber) query_get_bigint(0, 1);
		*last = (BlockNumber) query_get_bigint(0, 2);
	}
	query_end(&query);
	return found;
}

BlocksLeft
step_next_blocks(const Step *step, BlockNumber *cursor, int64 end, int most,
				 BlockNumber *first, BlockNumber *last)
{
	BlockNumber size = chunk_size(step);
	int64		from = *cursor;
	bool		others = false;

	while (from < end &&
		   first_range(step->id, from, end, most, first, last))
	{
		if (!claim_blocks(step, *first, last))
		{
			others = true;
			from = ((int64) *first / size + 1) * size;
		}
		/* what another has done between the look and the claim is gone */
		else if (first_range(step->id, *first, (int64) *last + 1, most, first, last))
		{
			*cursor = *last + 1;
			return BLOCKS_CLAIMED;
		}
		else
			from = (int64) *last + 1;
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
step_advance(Step *step, BlockNumber first, BlockNumber last, List *again,
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
	query_bigint(&query, first);
	query_bigint(&query, last);
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
