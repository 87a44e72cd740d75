/*
 * vacuum.c
 *		VACUUM in between, so that a fill does not double its table.
 *
 * The fill prunes its own pages (backfill/reclaim.c); line pointers and index
 * entries are for VACUUM to free.  It never truncates the table, which would
 * lock it, and steps back where autovacuum is at work already.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/lsyscache.h"

#include "catalog/migration_lock.h"
#include "catalog/step_blocks.h"
#include "core/quoting.h"
#include "core/settings.h"
#include "worker/blockers.h"
#include "worker/command.h"
#include "worker/vacuum.h"

/* a smaller piece is not worth a look at every index */
#define SMALLEST_PIECE 256

void
vacuuming_start(Vacuuming *vacuuming, const Migration *migration, Step *step)
{
	vacuuming->migration = migration;
	vacuuming->step = step;
	vacuuming->left_before = step_blocks_left(step);
	step_refresh(step);
	vacuuming->filled_before = step->rows_filled;
	vacuuming->refused = false;
}

static bool
is_due(const Vacuuming *vacuuming, int64 left, bool at_end)
{
	int64		done = vacuuming->left_before - left;

	if (setting_vacuum_every == 0 || vacuuming->refused)
		return false;
	return at_end ? done > 0 :
		done >= SMALLEST_PIECE &&
		done * 100 >= vacuuming->step->blocks_total * setting_vacuum_every;
}

static void
watch(int pid, void *arg)
{
	Vacuuming  *vacuuming = arg;

	migration_check_stop(vacuuming->migration);
	step_set_waiting(vacuuming->step->id, "VACUUM of the table",
					 blockers_of(pid));
	SPI_commit();
}

static void
vacuum(Vacuuming *vacuuming, bool gentle)
{
	Step	   *step = vacuuming->step;
	CommandError *error;
	char	   *sql = psprintf("VACUUM (TRUNCATE false, SKIP_LOCKED, PARALLEL 0) %s",
							   quoting_relation(step->relation));

	SPI_commit();
	error = command_run(vacuuming->migration, sql, InvalidOid, gentle,
						watch, vacuuming);
	step_set_waiting(step->id, NULL, NULL);
	SPI_commit();
	if (error == NULL)
		return;
	/* the fill can do without, so it goes on */
	vacuuming->refused = true;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("table \"%s\" is filled without VACUUM in between: %s",
					get_rel_name(step->relation), error->message),
			 errhint("It grows meanwhile. Raise max_worker_processes, or set tandem.vacuum_every = 0 to be rid of this warning.")));
}

void
vacuuming_go_on(Vacuuming *vacuuming, bool at_end, bool gentle)
{
	int64		left = step_blocks_left(vacuuming->step);

	/* it had no list of blocks yet, or began anew */
	if (vacuuming->left_before < left)
		vacuuming->left_before = vacuuming->step->blocks_total;
	/* a partition may have been dropped meanwhile */
	if (!is_due(vacuuming, left, at_end) ||
		get_rel_name(vacuuming->step->relation) == NULL)
		return;
	step_refresh(vacuuming->step);
	if (vacuuming->step->rows_filled > vacuuming->filled_before)
		vacuum(vacuuming, gentle);
	vacuuming->left_before = left;
	vacuuming->filled_before = vacuuming->step->rows_filled;
}
