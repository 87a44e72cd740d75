/*
 * after_fill.c
 *		What migrate does between the fill and the builds.
 *
 * Each piece is tried without waiting for long, as a part of its transaction:
 * where a lock is not to be had the piece is rolled back, so that nothing is
 * held while the session in the way is told, and the next try is waited for.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "backfill/quarantine_retry.h"
#include "catalog/filled_leaf.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "core/settings.h"
#include "core/subtransaction.h"
#include "core/transaction.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "ddl/versioned_view.h"
#include "ddl/view_definition.h"
#include "sync/fill_mark.h"
#include "sync/quarantine.h"
#include "worker/after_fill.h"
#include "worker/fill.h"
#include "worker/steering.h"

#define FIRST_PAUSE_MS 50
#define LONGEST_PAUSE_MS 3000

/* Something that is done to one table of the migration. */
typedef struct Piece
{
	const Migration *migration;
	Oid			relation;
	const char *doing;			/* for people */
	void		(*work) (const struct Piece *piece);
	Step	   *step;			/* whose line of tandem.progress tells of it;
								 * NULL: none has to */
} Piece;

/* A fill of the table or of one of its partitions, or NULL. */
static Step *
step_of_table(const Migration *migration, Oid relid)
{
	List	   *fills = step_list(migration->id, STEP_BACKFILL);
	ListCell   *lc;

	foreach(lc, fills)
	{
		Step	   *fill = lfirst(lc);

		if (fill->relation == relid || table_root(fill->relation) == relid)
			return fill;
	}
	return NULL;
}

/* A word for onlookers, which is not waited for. */
static void
tell(const Step *step, const char *doing, int64 done, int64 total,
	 const char *blockers)
{
	if (step == NULL)
		return;
	settings_for_transaction("synchronous_commit", "off");
	step_set_afterwards(step->id, doing, done, total, blockers);
}

static void
work_on_piece(void *arg)
{
	const Piece *piece = arg;

	/* one try: the next is ours */
	settings_for_transaction("tandem.lock_retry_time", "0");
	piece->work(piece);
}

static void
fail_piece(const Piece *piece, ErrorData *error, int seconds)
{
	char	   *name = quoting_find_name(piece->relation);
	char	   *blockers;

	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	blockers = lock_describe_marks(lock_blockers_of(error));
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock table \"%s\" or a view of it within %d s",
					name ? name : "(dropped)", seconds),
			 errdetail("In the way: %s.", blockers),
			 errhint("Let those transactions end, or end them with pg_terminate_backend(pid), then run CALL tandem.migrate(%s) again; completed work is kept.",
					 quote_literal_cstr(piece->migration->name))));
}

/* One try; true: it is done.  *give_up is 0 at the first. */
static bool
try_piece(Piece *piece, int64 *give_up)
{
	ErrorData  *error;
	int			seconds;

	/* puts the settings of the migration into force */
	(void) steering_wait(piece->migration, piece->step ? piece->step->id : 0,
						 NULL);
	seconds = setting_lock_retry_time;
	if (*give_up == 0)
		*give_up = clock_after_ms(seconds * INT64CONST(1000));
	error = subtransaction_try(work_on_piece, piece);
	if (error && (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE ||
				  clock_now() >= *give_up))
		fail_piece(piece, error, seconds);
	if (error == NULL)
		return true;
	if (piece->step == NULL)
		piece->step = step_of_table(piece->migration, piece->relation);
	tell(piece->step, piece->doing, 0, 0, lock_blockers_of(error));
	return false;
}

static void
run_piece(Piece *piece)
{
	int64		give_up = 0;
	double		pause = FIRST_PAUSE_MS;

	while (!try_piece(piece, &give_up))
	{
		transaction_commit();
		/* jitter, so that two waiters do not stay in step */
		interruptible_sleep((long) (pause * (0.5 + pg_prng_double(&pg_global_prng_state))));
		pause = Min(pause * 1.5, LONGEST_PAUSE_MS);
	}
	transaction_commit();
	if (piece->step == NULL)
		return;
	tell(piece->step, NULL, 0, 0, NULL);
	transaction_commit();
}

/* The same for each of the tables; what a piece leaves in memory goes with it. */
static void
run_pieces(Migration *migration, List *relids, const char *doing,
		   void (*work) (const Piece *piece))
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tandem piece",
												  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Piece		piece = {
			.migration = migration,
			.relation = lfirst_oid(lc),
			.doing = doing,
			.work = work,
		};

		MemoryContextSwitchTo(context);
		run_piece(&piece);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/* Rules of the table that are filled and not marked so. */
static List *
rules_to_mark(const Piece *piece, List *leaves)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(piece->migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == piece->relation &&
			fill_is_complete(piece->migration, rule) &&
			!fill_mark_is_filled(rule, leaves))
			rules = lappend(rules, rule);
	}
	return rules;
}

/*
 * Tells the trigger that no row is unfilled any more: from now on it takes
 * whatever a writer puts into a new column for his, NULL or the default too.
 */
static void
mark_filled(const Piece *piece)
{
	List	   *leaves;
	List	   *rules;
	ListCell   *lc;

	if (quoting_find_name(piece->relation) == NULL ||
		rules_to_mark(piece, table_leaves(piece->relation)) == NIL)
		return;
	lock_relations(table_tree(piece->relation), ShareRowExclusiveLock);
	/* again, now that nobody can attach a partition */
	leaves = table_leaves(piece->relation);
	rules = rules_to_mark(piece, leaves);
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		sync_set_origin(rule, fill_mark_filled(leaves));
		filled_leaf_forget(rule->id);
	}
	if (rules != NIL)
		sync_install(piece->relation);
}

/* The rules are written last, since others wait for them with tables locked. */
static void
end_read_through(const Piece *piece)
{
	ListCell   *lc;

	if (quoting_find_name(piece->relation) == NULL)
		return;
	versioned_views_refresh(list_make1_oid(piece->relation));
	foreach(lc, sync_list_of_migration(piece->migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == piece->relation && !view_reads_through(rule))
			sync_note_filled(rule);
	}
}

static Step *
step_of_note(const Migration *migration, const QuarantinedRow *note)
{
	return step_find(step_list(migration->id, STEP_BACKFILL), note->relation);
}

/* In transactions that take no longer than a batch. */
static int64
retry_quarantine(Migration *migration)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext turn = AllocSetContextCreate(caller, "tandem retry",
											   ALLOCSET_DEFAULT_SIZES);
	List	   *notes = quarantine_list(migration->id);
	int			count = list_length(notes);
	int			done = 0;
	int64		left = 0;

	transaction_commit();
	while (done < count)
	{
		Step	   *step;

		MemoryContextSwitchTo(turn);
		step = step_of_note(migration, list_nth(notes, done));
		(void) steering_wait(migration, step ? step->id : 0, NULL);
		done = quarantine_retry(migration, notes, done, setting_batch_target,
								&left);
		if (done < count)
			tell(step, "trying rows in quarantine again", done, count, NULL);
		else
			step_forget_afterwards(migration->id);
		transaction_commit();
		MemoryContextSwitchTo(caller);
		MemoryContextReset(turn);
	}
	MemoryContextDelete(turn);
	return left;
}

int64
after_fill_run(Migration *migration)
{
	List	   *relids = sync_relations_of_migration(migration->id);

	step_forget_afterwards(migration->id);
	transaction_commit();
	run_pieces(migration, relids, "marking the table as filled", mark_filled);
	/* not while a table is locked: views are waited for, too */
	run_pieces(migration, relids, "making the views of releases plain",
			   end_read_through);
	return retry_quarantine(migration);
}
