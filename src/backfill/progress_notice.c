/*
 * progress_notice.c
 *		Tells the session how far a step is, at most every two seconds.
 */
#include "postgres.h"

#include "backfill/progress_notice.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define NOTICE_EVERY_MS 2000

void
progress_notice_start(ProgressNotice *notice, Step *step)
{
	notice->started = notice->last = GetCurrentTimestamp();
	notice->rows_before = step->rows_done;
	notice->left_before = step_blocks_left(step);
}

static double
seconds_since(TimestampTz time)
{
	return Max(TimestampDifferenceMilliseconds(time, GetCurrentTimestamp()),
			   1) / 1000.0;
}

void
progress_notice(ProgressNotice *notice, Step *step, const char *waiting)
{
	TimestampTz now = GetCurrentTimestamp();
	double		elapsed = seconds_since(notice->started);
	int64		left;
	int64		worked;

	if (!TimestampDifferenceExceeds(notice->last, now, NOTICE_EVERY_MS))
		return;
	notice->last = now;
	left = step_blocks_left(step);
	/* it had no list yet, or began anew */
	if (notice->left_before < left)
		notice->left_before = step->blocks_total;
	worked = notice->left_before - left;
	ereport(NOTICE,
			(errmsg("%s of %s: %.1f %%, " INT64_FORMAT " rows, %.0f rows/s, %.0f s left%s%s",
					step_kind_name(step->kind), get_rel_name(step->relation),
					step->blocks_total > 0
					? 100.0 * (step->blocks_total - left) / step->blocks_total
					: 100.0,
					step->rows_done,
					(step->rows_done - notice->rows_before) / elapsed,
					worked > 0 ? elapsed * left / worked : 0.0,
					waiting ? ", " : "", waiting ? waiting : "")));
}

void
progress_notice_end(ProgressNotice *notice, Step *step)
{
	double		elapsed = seconds_since(notice->started);

	if (step->kind == STEP_BACKFILL)
		ereport(NOTICE,
				(errmsg("backfill of %s done: " INT64_FORMAT " rows, " INT64_FORMAT " filled, %.1f s",
						get_rel_name(step->relation), step->rows_done,
						step->rows_filled, elapsed)));
	else
		ereport(NOTICE,
				(errmsg("verify of %s done: " INT64_FORMAT " rows, " INT64_FORMAT " unfilled, " INT64_FORMAT " mismatched, %.1f s",
						get_rel_name(step->relation), step->rows_done,
						step->rows_unfilled, step->rows_mismatched, elapsed)));
}
