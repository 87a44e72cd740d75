/*
 * after_fill.c
 *		What migrate does between the fill and the builds.
 *
 * Each piece is tried without waiting for long: where a lock is not to be had
 * the piece is rolled back, so that nothing is held while the session in the way
 * is told, and the next try is waited for.
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
#include "core/transaction.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "ddl/versioned_view.h"
#include "ddl/view_definition.h"
#include "sync/fill_mark.h"
#include "sync/quarantine.h"
#include "worker/after_fill.h"
#include "worker/fill.h"
#include "worker/loop.h"

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
	int64		give_up;		/* when; 0: before the first try */
	double		pause_ms;		/* before the next try */
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

/* What onlookers are told need not be durable. */
static void
tell_afterwards(const Step *step, const char *doing, int64 done, int64 total,
				const char *blockers)
{
	if (step == NULL)
		return;
	settings_for_transaction("synchronous_commit", "off");
	step_set_afterwards(step->id, doing, done, total, blockers);
}

static void
work_on_piece(Loop *loop)
{
	Piece	   *piece = loop->arg;

	/* only now are the settings of the migration in force */
	if (piece->give_up == 0)
		piece->give_up = clock_after_ms(setting_lock_retry_time * INT64CONST(1000));
	/* one try: the next is the loop's */
	settings_for_transaction("tandem.lock_retry_time", "0");
	piece->work(piece);
}

static void
give_up_piece(const Piece *piece, const ErrorData *error)
{
	char	   *name = quoting_find_name(piece->relation);
	char	   *blockers = lock_describe_marks(lock_blockers_of(error));

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock table \"%s\" or a view of it within %d s",
					name ? name : "(dropped)", setting_lock_retry_time),
			 errdetail("Blocked by: %s.", blockers),
			 errhint("Let those transactions end, or end them with pg_terminate_backend(pid), then run CALL tandem.migrate(%s) again; completed work is kept.",
					 quote_literal_cstr(piece->migration->name))));
}

static bool
piece_error_passes(Loop *loop, ErrorData *error)
{
	Piece	   *piece = loop->arg;

	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	if (clock_now() >= piece->give_up)
		give_up_piece(piece, error);
	if (piece->step == NULL)
		piece->step = step_of_table(piece->migration, piece->relation);
	if (piece->step)
		loop->step_id = piece->step->id;
	tell_afterwards(piece->step, piece->doing, 0, 0, lock_blockers_of(error));
	/* jitter, so that two waiters do not stay in step */
	loop->rest_ms = (long) (piece->pause_ms * (0.5 + pg_prng_double(&pg_global_prng_state)));
	piece->pause_ms = Min(piece->pause_ms * 1.5, LONGEST_PAUSE_MS);
	return true;
}

static ErrorData *
after_piece(Loop *loop)
{
	Piece	   *piece = loop->arg;

	if (!loop->more && piece->step)
		tell_afterwards(piece->step, NULL, 0, 0, NULL);
	return NULL;
}

static void
run_piece(Piece *piece)
{
	Loop		loop = {
		.migration = piece->migration,
		.arg = piece,
		.work = work_on_piece,
		.passes = piece_error_passes,
		.after = after_piece,
	};

	loop_run(&loop);
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
			.pause_ms = FIRST_PAUSE_MS,
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

/* The rows in quarantine, tried again in order. */
typedef struct QuarantineTurn
{
	Migration  *migration;
	List	   *notes;
	int			done;			/* of them */
	int64		left;			/* of these, still in quarantine */
} QuarantineTurn;

/* As many as fit into the time of a batch. */
static void
retry_some(Loop *loop)
{
	QuarantineTurn *turn = loop->arg;
	int			count = list_length(turn->notes);
	int			first = turn->done;

	if (first < count)
	{
		turn->done = quarantine_retry(turn->migration, turn->notes, first,
									  setting_batch_target, &turn->left);
		loop->more = turn->done < count;
	}
	if (loop->more)
		tell_afterwards(step_of_note(turn->migration,
									 list_nth(turn->notes, first)),
						"trying rows in quarantine again", turn->done, count,
						NULL);
	else
		step_forget_afterwards(turn->migration->id);
}

static bool
never_passes(Loop *loop, ErrorData *error)
{
	return false;
}

static int64
retry_quarantine(Migration *migration)
{
	QuarantineTurn turn = {
		.migration = migration,
		.notes = quarantine_list(migration->id),
	};
	Loop		loop = {
		.migration = migration,
		.arg = &turn,
		.work = retry_some,
		.passes = never_passes,
	};

	loop_run(&loop);
	return turn.left;
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
