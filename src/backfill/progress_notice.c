/*
 * progress_notice.c
 *		Tells the session how far a step is, at most every two seconds.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "backfill/progress_notice.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/quoting.h"

#define NOTICE_EVERY_MS 2000
#define BAR_WIDTH 20

void
progress_notice_start(ProgressNotice *notice, Step *step)
{
	notice->started = notice->last = clock_now();
	notice->rows_before = step->rows_done;
	notice->left_before = step->blocks_left;
}

static double
seconds_since(int64 time)
{
	return Max(clock_ms_since(time), 1) / 1000.0;
}

/* "[#####...............]  25.3 %" */
static char *
bar(double part)
{
	char		bar[BAR_WIDTH + 1];

	part = Min(Max(part, 0.0), 1.0);
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int) (part * BAR_WIDTH) ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	return psprintf("[%s] %5.1f %%", bar, part * 100);
}

/* "1 h 05 min", "4 min 10 s", "9 s" */
static char *
time_text(double seconds)
{
	int64		s = (int64) (seconds + 0.5);

	if (s >= 3600)
		return psprintf(INT64_FORMAT " h %02d min", s / 3600,
						(int) (s % 3600 / 60));
	if (s >= 60)
		return psprintf(INT64_FORMAT " min %02d s", s / 60, (int) (s % 60));
	return psprintf(INT64_FORMAT " s", s);
}

static bool
is_time(ProgressNotice *notice)
{
	if (clock_ms_since(notice->last) < NOTICE_EVERY_MS)
		return false;
	notice->last = clock_now();
	return true;
}

void
progress_notice(ProgressNotice *notice, Step *step, const char *waiting)
{
	double		elapsed = seconds_since(notice->started);
	int64		left;
	int64		worked;
	const char *blockers;

	if (!is_time(notice))
		return;
	/* this process may only wait for others */
	step_refresh(step);
	left = step->blocks_left;
	/* it had no list yet, or began again */
	if (notice->left_before < left)
		notice->left_before = step->blocks_total;
	worked = notice->left_before - left;
	blockers = waiting ? lock_describe_marks(waiting) : "";
	ereport(NOTICE,
			(errmsg("%-8s %s %s %11s rows %9.0f rows/s, %s left%s%s",
					step_kind_name(step->kind), quoting_shown_name(step->relation),
					bar(step->blocks_total > 0
						? (double) (step->blocks_total - left) / step->blocks_total
						: 1.0),
					psprintf(INT64_FORMAT, step->rows_done),
					(step->rows_done - notice->rows_before) / elapsed,
					worked > 0 ? time_text(elapsed * left / worked) : "?",
					waiting ? "; " : "",
					blockers)));
}

void
progress_notice_statement(ProgressNotice *notice, Step *step,
						  const char *doing, const char *phase, int64 done,
						  int64 total, const char *blockers)
{
	if (!is_time(notice))
		return;
	if (blockers)
		blockers = lock_describe_marks(blockers);
	ereport(NOTICE,
			(errmsg("%-8s %s%s%s%s%s%s%s", step_kind_name(step->kind), doing,
					total > 0 ? " " : "",
					total > 0 ? bar((double) done / total) : "",
					phase ? ", " : "", phase ? phase : "",
					blockers ? "; waits for " : "",
					blockers ? blockers : "")));
}

void
progress_notice_end(ProgressNotice *notice, Step *step)
{
	double		elapsed = seconds_since(notice->started);

	if (step->kind == STEP_BACKFILL)
		ereport(NOTICE,
				(errmsg("backfill of %s done: " INT64_FORMAT " rows, " INT64_FORMAT " filled, %.1f s",
						quoting_shown_name(step->relation), step->rows_done,
						step->rows_filled, elapsed)));
	else
		ereport(NOTICE,
				(errmsg("verify of %s done: " INT64_FORMAT " rows, " INT64_FORMAT " unfilled, " INT64_FORMAT " mismatched, %.1f s",
						quoting_shown_name(step->relation), step->rows_done,
						step->rows_unfilled, step->rows_mismatched, elapsed)));
}
