/*
 * vacuum.c
 *		VACUUM in between, so that a fill does not double its table.
 *
 * The fill prunes its own pages (backfill/reclaim.c); line pointers and index
 * entries are for VACUUM to free.  It never truncates the table, which would
 * lock it, steps back where autovacuum is at work already, and leaves out the
 * TOAST table, which may be by far the largest part and where the fill, whose
 * new versions keep the old ones' values, leaves next to nothing dead.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "catalog/migration_lock.h"
#include "core/quoting.h"
#include "core/settings.h"
#include "worker/blockers.h"
#include "worker/command.h"
#include "worker/vacuum.h"

/* what so many blocks hold is not worth a look at every index */
#define SMALLEST_PIECE 256

static void
note_counts(Vacuuming *vacuuming)
{
	vacuuming->filled_before = vacuuming->step->rows_filled;
	vacuuming->indexed_before = vacuuming->step->rows_indexed;
}

void
vacuuming_start(Vacuuming *vacuuming, const Migration *migration, Step *step)
{
	vacuuming->migration = migration;
	vacuuming->step = step;
	step_refresh(step);
	note_counts(vacuuming);
	vacuuming->refused = false;
}

/* Rows with new entries that a VACUUM is worth; a page of those not done counts as one done. */
static double
rows_worth_it(const Step *step)
{
	double		done = Max(step->blocks_total - step->blocks_left, 1);
	double		blocks = Max((double) step->blocks_total * setting_vacuum_every / 100,
							 SMALLEST_PIECE);

	return step->rows_done / done * blocks;
}

/*
 * A row whose new version is on its page leaves nothing to VACUUM that the fill
 * could not prune itself: so what counts is the others.
 */
static bool
is_due(const Vacuuming *vacuuming, bool at_end)
{
	Step	   *step = vacuuming->step;
	int64		indexed = step->rows_indexed - vacuuming->indexed_before;

	if (at_end)
		return step->rows_filled > vacuuming->filled_before;
	return indexed > 0 && indexed >= rows_worth_it(step);
}

static void
watch_vacuum(int pid, void *arg)
{
	Vacuuming  *vacuuming = arg;

	migration_check_stop(vacuuming->migration);
	step_set_waiting(vacuuming->step->id, "VACUUM of the table",
					 blockers_of(pid));
}

static void
run_vacuum(Vacuuming *vacuuming, bool gentle)
{
	Step	   *step = vacuuming->step;
	char	   *name = quoting_raw_name(step->relation);
	ErrorData  *error;
	char	   *sql = psprintf("VACUUM (TRUNCATE false, SKIP_LOCKED, PARALLEL 0, PROCESS_TOAST false) %s",
							   quoting_relation(step->relation));

	error = command_run(vacuuming->migration, sql, step->relation, gentle,
						watch_vacuum, vacuuming);
	step_set_waiting(step->id, NULL, NULL);
	if (error == NULL)
		return;
	/* the fill can do without, so it goes on */
	vacuuming->refused = true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("table \"%s\" is backfilled without intermediate VACUUM: %s",
					name, error->message),
			 error->hint && error->sqlerrcode != ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
			 ? errhint("%s", error->hint)
			 : errhint("It grows meanwhile. Raise max_worker_processes, or set tandem.vacuum_every to 0 to disable this warning.")));
}

void
vacuuming_go_on(Vacuuming *vacuuming, bool at_end, bool gentle)
{
	Step	   *step = vacuuming->step;

	if (setting_vacuum_every == 0 || vacuuming->refused)
		return;
	/* the step began again */
	if (step->rows_filled < vacuuming->filled_before)
		vacuuming->filled_before = vacuuming->indexed_before = 0;
	/* a partition may have been dropped meanwhile */
	if (!is_due(vacuuming, at_end) || quoting_find_name(step->relation) == NULL)
		return;
	run_vacuum(vacuuming, gentle);
	note_counts(vacuuming);
}
