/*
 * step.h
 *		The steps of migrations, and their remaining blocks.
 */
#ifndef TANDEM_STEP_H
#define TANDEM_STEP_H

#include "nodes/pg_list.h"
#include "storage/block.h"
#include "storage/lock.h"

/*-------------------------------------------------------------------------
 * Rows of tandem.step: the steps of phase migrate.
 *
 * blocks_todo is the exact set of remaining heap blocks.  A batch takes the
 * first of them and writes back the rest in its own transaction.  Blocks with
 * rows that it could not finish remain in the set.
 *-------------------------------------------------------------------------
 */

/* In the order in which migrate does them. */
typedef enum StepKind
{
	STEP_BACKFILL,
	STEP_INDEX,
	STEP_NOT_NULL,
	STEP_CONSTRAINT,
	STEP_ANALYZE,
	STEP_VERIFY,
	STEP_AFTER_SWITCH			/* not of migrate itself */
} StepKind;

/*
 * What is being done for a step at the moment.  Whoever begins it notes it.
 */
typedef enum StepPhase
{
	DOING_NOTHING,
	DOING_REPAIR,
	DOING_FILL,
	DOING_VACUUM,
	DOING_MARK,
	DOING_VIEWS,
	DOING_QUARANTINE,
	DOING_INDEX,
	DOING_INDEX_DROP,
	DOING_INDEX_ATTACH,
	DOING_WAIT,					/* for another session that does it */
	DOING_CONSTRAINT,
	DOING_VALIDATE,
	DOING_ANALYZE,
	DOING_VERIFY,
	DOING_CHANGE				/* of rows, after the switch */
} StepPhase;

/* Returns the name as in tandem.step, or NULL for DOING_NOTHING. */
extern const char *step_phase_name(StepPhase phase);

typedef struct Step
{
	int			id;
	int			migration_id;
	StepKind	kind;
	Oid			relation;		/* leaf table to fill or verify, else the
								 * table given by the user */
	char	   *object;			/* index, constraint, or NOT NULL column */
	char	   *definition;		/* index: from USING on; constraint: as
								 * pg_get_constraintdef returns it */
	char	   *calls;			/* functions of users that the definition
								 * called then (see rule/recorded_calls.h);
								 * NULL of a key's index, which calls none */
	char	   *given;			/* the definition as given by the user */
	bool		is_unique;		/* for an index */
	bool		done;
	bool		started;
	char	   *table_file;		/* the file that blocks_todo refers to */
	int64		blocks_total;
	int64		blocks_left;	/* as of the last time the counts were read */
	int			batch_blocks;	/* blocks of the last batch; 0 before the
								 * first */
	int64		rows_done;		/* of the blocks that are done; what moves to
								 * one that is not counts again */
	int64		rows_filled;
	int64		rows_indexed;	/* of these, with new index entries */
	int64		rows_quarantined;
	int64		rows_unfilled;
	int64		rows_mismatched;
	int64		rows_own;		/* with a value of its own in a derived column */
	int64		rows_lossy;
	char	   *trigger_version;	/* version of the trigger under which it
									 * is done */
	char	   *uses;			/* for a verify: what the rules used, see
								 * rule/rule_uses.h */
	bool		refill;			/* for a backfill: rows that disagree are
								 * computed again */
	List	   *refill_derived; /* and values of their own of these derived
								 * columns: ids of their syncs, as ints */
	List	   *built_indexes;	/* names of the indexes that it has built */
	List	   *changed_tables; /* OIDs of tables that it has given its
								 * constraint or NOT NULL */
} Step;

/* Returns the name of a kind as stored in tandem.step, a constant. */
extern const char *step_kind_name(StepKind kind);

/* Adds this step for each of the tables to the migration, unless it has it. */
extern void step_ensure(int migration_id, StepKind kind, List *relids);

/*
 * Records that an empty leaf table needs no fill and no verify: the trigger of
 * version trigger_version sees each row that is inserted.  table_file is its
 * file, uses what the rules use.  The migration is running or has been run.
 */
extern void step_note_empty(int migration_id, Oid relid,
							const char *table_file,
							const char *trigger_version, const char *uses);

/*
 * Adds a step for an index, a constraint or a NOT NULL.  Returns false if the
 * migration has an identical one.  Errors: it has a different one of that
 * name.
 */
extern bool step_add(int migration_id, const Step *step);

/* The same for a NOT NULL of a column. */
extern bool step_add_not_null(int migration_id, Oid relid, char *column);

/* Deletes the step of an index or constraint of that name, of which nothing is built. */
extern void step_delete_build(int migration_id, Oid relid, const char *object);

/*
 * Deletes the fill and verify steps of tables other than relids, which are
 * partitions detached since.
 */
extern void step_keep_only(int migration_id, List *relids);

/*
 * Returns the id of a step of that kind of one of the tables, or 0.
 */
extern int	step_of_tables(int migration_id, StepKind kind, List *relids);

/*
 * Notes the sizes in blocks (OIDs) of tables whose backfill or verify has not
 * begun, so that it is known beforehand how much is left.
 */
extern void step_note_sizes(int migration_id, List *relids, List *blocks);

/* Returns the step of relid in steps, or NULL. */
extern Step *step_find(List *steps, Oid relid);

/* Returns the steps of a kind in the order in which they are run. */
extern List *step_list(int migration_id, StepKind kind);

/*
 * Returns those of them that are for one of these tables: all that what is done
 * for one table after the other may read.
 */
extern List *step_list_of_tables(int migration_id, StepKind kind, List *relids);

/*
 * Starts the step over the file table_file, which has blocks blocks, with all
 * counts at zero.  If another process has done that already, only *step
 * changes.
 */
extern void step_start(Step *step, const char *table_file, BlockNumber blocks,
					   const char *trigger_version, const char *uses);

/*
 * Makes the backfill of these tables start again and compute rows that
 * disagree, and then their verify.  derived has the ids (ints) of syncs of
 * derived columns whose values of their own are computed again, too, besides
 * those of an earlier call for the same backfill.
 */
extern void step_refill(int migration_id, List *relids, List *derived);

/*
 * How far the step is and how long it will take, as tandem.stat_progress has
 * it.
 */
typedef struct StepProgress
{
	int64		blocks_done;
	int64		blocks_total;
	int64		rows_done;
	int64		rows_per_second;
	double		seconds_left;	/* -1 if that is not known */
} StepProgress;

extern void step_progress(int step_id, StepProgress *progress);

/* Reads the step's counts again, to which other processes add. */
extern void step_refresh(Step *step);

/*
 * The first columns of a query on tandem.step from which the counts are read.
 */
#define STEP_COUNTS \
	"rows_done, rows_filled, rows_indexed, rows_quarantined, rows_unfilled, rows_mismatched, " \
	"(SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(blocks_todo) r), rows_own, rows_lossy"

/* Takes the counts from the first columns of that row of the last query. */
extern void step_take_counts(Step *step, uint64 row);

/* The most keys that a sample of a step has. */
#define STEP_SAMPLE "3"

/* Rows that the steps of a kind have counted, of all tables of a migration. */
typedef struct StepRows
{
	int64		lossy;
	List	   *lossy_keys;		/* of some of these, as JSON text */
	List	   *wrong_keys;		/* of some that are unfilled or mismatched */
} StepRows;

extern void step_sum_rows(int migration_id, StepKind kind, StepRows *rows);

/* Is the step not done at present? */
extern bool step_is_open(int step_id);

/* step_reopen makes a step start again; step_restart, those of the tables. */
extern void step_reopen(int step_id);

extern void step_restart(int migration_id, List *relids);

/* Records that the step is done, and sets step->done. */
extern void step_finish(Step *step);

/* Records why the step failed, with the remedy or NULL. */
extern void step_set_error(int step_id, const char *error, const char *hint);

/*
 * Deletes the errors of the failed steps of that kind, so that they are tried
 * again.
 */
extern void step_forget_errors(int migration_id, StepKind kind);

/*
 * Records why the step makes no progress: the reason to wait and the blocking
 * sessions, as text.  Each may be NULL.
 */
extern void step_set_waiting(int step_id, const char *waiting,
							 const char *blockers);

/* Returns what is done for a step while it goes over the blocks of its table. */
extern StepPhase step_work_phase(const Step *step);

/* Records what is being done; there are no words for it. */
extern void step_set_phase(int step_id, StepPhase phase);

/*
 * Records the progress of a statement: its phase, the same in words, and its
 * own units of work.
 */
extern void step_set_doing(int step_id, StepPhase phase, const char *doing,
						   int64 units_done, int64 units_total);

/*
 * step_set_afterwards records work on the table of a step, which is done itself
 * or does not go on before that has been done: what is done, its progress (units_total is 0 if unknown) and
 * the blocking sessions; phase is DOING_NOTHING if there is none any more.
 * step_forget_afterwards deletes such records of a run that has died.
 */
extern void step_set_afterwards(int step_id, StepPhase phase,
								const char *doing, int64 units_done,
								int64 units_total, const char *blockers);
extern void step_forget_afterwards(int migration_id);

/* Records the new name of a column in the steps of open migrations that make it NOT NULL. */
extern void step_follow_renamed(Oid relid, const char *column, const char *new_name);

/*
 * Record what the step builds, before or in the same transaction.  abort drops
 * only that, and no other object of that name.  step_forget_index deletes the
 * record after a failed build.
 */
extern void step_note_index(int step_id, const char *name);
extern void step_note_table(int step_id, Oid relid);
extern void step_forget_index(int step_id, const char *name);

/* Has the step built the index of that name? */
extern bool step_has_built(const Step *step, const char *name);

/* Are all steps of the migration done, but for those after the switch? */
extern bool step_all_done(int migration_id);

/*
 * Keeps done steps valid when we change triggers ourselves.  before and after
 * are the versions of the trigger of each table (strings, or NULL).
 */
extern void step_carry_proofs(List *relids, List *before, List *after);

/* What one batch adds to its step. */
typedef struct StepAdvance
{
	int64		rows_done;
	int64		rows_filled;
	int64		rows_indexed;
	int64		rows_quarantined;
	int64		rows_unfilled;
	int64		rows_mismatched;
	int64		rows_own;
	int64		rows_lossy;
	List	   *wrong;			/* keys of rows that are unfilled or
								 * mismatched, and */
	List	   *lossy;			/* of lossy ones, as JSON text: added to the
								 * step's sample */
	const char *waiting;		/* reason for the pause after the batch, or
								 * NULL */
	const char *blockers;		/* sessions that hold row locks, or NULL */
	int			batch_blocks;
	double		seconds;		/* duration in seconds */

	/*
	 * for the time left, see tandem._seconds_left; moments are those of
	 * clock_now
	 */
	double		blocks;			/* blocks done, visits that did not complete a
								 * block as fractions */
	double		partly;			/* change of the sum of such fractions */
	int64		counted_from;	/* begin of the process's work, or end of its
								 * last pause */
	double		vacuum_seconds; /* spent in VACUUM since its last batch */
	double		vacuum_length;	/* seconds that a VACUUM takes, and */
	int			vacuums_left;	/* number of those to come; -1: not known to
								 * this process */
} StepAdvance;

typedef struct BlockRange
{
	BlockNumber first;
	BlockNumber last;
} BlockRange;

/* limits a batch of scattered blocks */
#define MOST_RANGES 128

/* The blocks of one batch: at least one range, ascending. */
typedef struct Blocks
{
	int			nranges;
	BlockRange	ranges[MOST_RANGES];
} Blocks;

/*
 * Workers share the blocks in chunks; step_chunk_blocks returns their size.
 * step_claim_chunk takes a session lock on one, which an error releases, too,
 * and returns false if another process holds it.  *claim is for step_leave_chunk:
 * the extension may have been dropped and made anew by then.
 */
extern BlockNumber step_chunk_blocks(const Step *step, int workers);
extern bool step_claim_chunk(const Step *step, BlockNumber chunk, LOCKTAG *claim);
extern void step_leave_chunk(const LOCKTAG *claim);

/* A pseudo chunk, claimed by the process that has the table vacuumed. */
#define STEP_VACUUM PG_UINT16_MAX

/*
 * Finds the first remaining block at or after from; returns false if there is
 * none.
 */
extern bool step_first_block(const Step *step, int64 from,
							 BlockNumber *block);

/*
 * Finds the next remaining blocks, up to most, at or after *cursor and before
 * end, and moves *cursor behind them.  Returns false if there are none.
 */
extern bool step_next_blocks(const Step *step, BlockNumber *cursor,
							 int64 end, int most, Blocks *blocks);

/* Returns the number of blocks. */
extern int	blocks_count(const Blocks *blocks);

/* Removes the blocks after last, which is not before the first one. */
extern void blocks_cut(Blocks *blocks, BlockNumber last);

/*
 * Takes blocks off the list except those in again (ascending), and reads the
 * counts of the step again.
 */
extern void step_advance(Step *step, const Blocks *blocks, List *again,
						 const StepAdvance *advance);

#endif							/* TANDEM_STEP_H */
