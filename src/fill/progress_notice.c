/*
 * progress_notice.c
 *		Tells the session that runs a step how far it is.
 */
#include "postgres.h"

#include "core/clock.h"
#include "core/lock.h"
#include "core/text.h"
#include "fill/progress_notice.h"

/*-------------------------------------------------------------------------
 * Telling the session how far a step is, at most every two seconds.
 *-------------------------------------------------------------------------
 */

#define NOTICE_EVERY_MS 2000
#define BAR_WIDTH 20

void
progress_notice_start(ProgressNotice *notice)
{
	notice->started = notice->last = clock_now();
}

static double
seconds_since(int64 time)
{
	return Max(clock_ms_since(time), 1) / 1000.0;
}

/* Returns for example "[#####...............] 25.3 %", palloc'd. */
static char *
progress_bar(double part)
{
	char		bar[BAR_WIDTH + 1];

	part = Min(Max(part, 0.0), 1.0);
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int) (part * BAR_WIDTH) ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	return psprintf("[%s] %5.1f %%", bar, part * 100);
}

/* Returns "1 h 05 min", "4 min 10 s" or "9 s", palloc'd. */
static char *
duration_text(double seconds)
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
notice_is_due(ProgressNotice *notice)
{
	if (clock_ms_since(notice->last) < NOTICE_EVERY_MS)
		return false;
	notice->last = clock_now();
	return true;
}

void
progress_notice(ProgressNotice *notice, Step *step, const char *waiting)
{
	StepProgress progress;
	const char *blockers;

	if (!notice_is_due(notice))
		return;
	/* this process may only be waiting for other workers */
	step_progress(step->id, &progress);
	blockers = waiting ? lock_describe_marks(waiting) : "";
	ereport(NOTICE,
			(errmsg("%-8s %s %s %11s rows %9s rows/s, %s left%s%s",
					step_kind_name(step->kind), quoting_shown_name(step->relation),
					progress_bar(progress.blocks_total > 0
								 ? (double) progress.blocks_done / progress.blocks_total
								 : 1.0),
					psprintf(INT64_FORMAT, progress.rows_done),
					psprintf(INT64_FORMAT, progress.rows_per_second),
					progress.seconds_left < 0 ? "?" : duration_text(progress.seconds_left),
					waiting ? "; " : "",
					blockers)));
}

void
progress_notice_statement(ProgressNotice *notice, Step *step,
						  const char *doing, const char *phase, int64 done,
						  int64 total, const char *blockers)
{
	if (!notice_is_due(notice))
		return;
	if (blockers)
		blockers = lock_describe_marks(blockers);
	ereport(NOTICE,
			(errmsg("%-8s %s%s%s%s%s%s%s", step_kind_name(step->kind), doing,
					total > 0 ? " " : "",
					total > 0 ? progress_bar((double) done / total) : "",
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
				(errmsg("verify of %s done: " INT64_FORMAT " rows, " INT64_FORMAT " unfilled, " INT64_FORMAT " mismatched, %s%.1f s",
						quoting_shown_name(step->relation), step->rows_done,
						step->rows_unfilled, step->rows_mismatched,
						step->rows_own > 0
						? psprintf(INT64_FORMAT " with values of their own, ",
								   step->rows_own) : "",
						elapsed)));
}
