/*
 * step.h
 *		Steps of migrations, and the blocks that are left of them.
 */
#ifndef TANDEM_STEP_H
#define TANDEM_STEP_H

#include "nodes/pg_list.h"
#include "storage/block.h"

/*-------------------------------------------------------------------------
 * A row of tandem.step: one piece of the migrate phase.
 *
 * Its blocks_todo is the exact set of heap blocks left.  A batch takes the
 * first of them and writes the rest back in its own transaction; blocks with
 * rows that it had to leave stay in the set.
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
	STEP_VERIFY
} StepKind;

typedef struct Step
{
	int			id;
	StepKind	kind;
	Oid			relation;		/* a leaf table to fill or verify, else the
								 * table that the user named */
	char	   *object;			/* index, constraint, or NOT NULL column */
	char	   *definition;		/* of an index from USING on; of a constraint
								 * as pg_get_constraintdef has it */
	char	   *given;			/* the definition as the user wrote it */
	bool		is_unique;		/* of an index */
	bool		done;
	bool		started;
	char	   *table_file;		/* the file that blocks_todo speaks of */
	int64		blocks_total;
	int64		blocks_left;	/* when the counts were read last */
	int			batch_blocks;	/* of the last batch; 0: none yet */
	int64		rows_done;
	int64		rows_filled;
	int64		rows_indexed;	/* of these, with new entries in the indexes */
	int64		rows_quarantined;
	int64		rows_unfilled;
	int64		rows_mismatched;
	char	   *trigger_version;	/* version of the trigger verified under */
	List	   *built_indexes;	/* names of the indexes that it has made */
	List	   *changed_tables; /* OIDs of the tables that it has given its
								 * constraint, or NOT NULL */
} Step;

extern const char *step_kind_name(StepKind kind);

/* Makes sure that the migration has this step for each of the tables. */
extern void step_ensure(int migration_id, StepKind kind, List *relids);

/*
 * A leaf table of the migration, which is being run or has been, has no row, and
 * the trigger of version proof sees each that comes: nothing is left to fill or
 * to verify.  storage is its file.
 */
extern void step_note_empty(int migration_id, Oid relid,
							const char *table_file,
							const char *trigger_version);

/*
 * Adds a step for an index, a constraint or a NOT NULL.  False: the migration
 * has the very same already.  Errors: it has another of that name.
 */
extern bool step_add(int migration_id, const Step *step);

/*
 * Forgets what was to be filled and verified of tables other than relids:
 * partitions detached since.
 */
extern void step_keep_only(int migration_id, List *relids);

/* The one of relid among steps, or NULL. */
extern Step *step_find(List *steps, Oid relid);

/* The steps of a kind, in the order they are run. */
extern List *step_list(int migration_id, StepKind kind);

/*
 * Starts the step, over blocks blocks of the file storage, from the first
 * block; counts begin again.  Where another process has done so already, nothing
 * but step itself changes.
 */
extern void step_start(Step *step, const char *table_file, BlockNumber blocks,
					   const char *trigger_version);

/* Reads its counts again: other processes add to them. */
extern void step_refresh(Step *step);

/* The first columns of a query on tandem.step, and what takes the counts from them. */
#define STEP_COUNTS \
	"rows_done, rows_filled, rows_indexed, rows_quarantined, rows_unfilled, rows_mismatched, " \
	"(SELECT coalesce(sum(upper(r) - lower(r)), 0)::bigint FROM unnest(blocks_todo) r)"

/* Whether it is not done, as it is now. */
extern bool step_is_open(int step_id);

/* Makes a step begin again; or those of some tables. */
extern void step_reopen(int step_id);

extern void step_restart(int migration_id, List *relids);

extern void step_finish(Step *step);

/* Notes why the step failed, with the remedy or NULL. */
extern void step_set_error(int step_id, const char *error, const char *hint);

/* Steps of that kind that have failed are to be tried again. */
extern void step_forget_errors(int migration_id, StepKind kind);

/*
 * Notes why the step makes no progress: what it gives way to, and the sessions
 * in its way, for people.  Each may be NULL.
 */
extern void step_set_waiting(int step_id, const char *waiting,
							 const char *blockers);

/* Notes how far a statement is: what it does now, and its own units of work. */
extern void step_set_doing(int step_id, const char *doing, int64 units_done,
						   int64 units_total);

/*
 * Notes what is done for the table of a step that has itself ended, how far it
 * is (total 0: nobody knows) and the sessions in its way; doing NULL: nothing
 * more.  The second forgets what a run that has died has left of that.
 */
extern void step_set_afterwards(int step_id, const char *doing,
								int64 units_done, int64 units_total,
								const char *blockers);
extern void step_forget_afterwards(int migration_id);

/*
 * Notes what the step makes, before or in the transaction in which it does so:
 * abort takes that away, and nothing else that may have the name.  The last one
 * takes the note back, after a build that has failed.
 */
extern void step_note_index(int step_id, const char *name);
extern void step_note_table(int step_id, Oid relid);
extern void step_forget_index(int step_id, const char *name);

/* Whether the step has made the index of that name. */
extern bool step_has_built(const Step *step, const char *name);

/* Whether every step of the migration is done. */
extern bool step_all_done(int migration_id);

/*
 * Our own change of triggers leaves the proofs that rest on them in force.  For
 * each table the version of its trigger (a string, or NULL) before and after.
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
	const char *waiting;		/* for what it rests after the batch, or NULL */
	const char *blockers;		/* who has rows locked, or NULL */
	int			batch_blocks;
	double		seconds;		/* that it took */
} StepAdvance;

typedef struct BlockRange
{
	BlockNumber first;
	BlockNumber last;
} BlockRange;

/* so that a batch of scattered blocks has an end */
#define MOST_RANGES 128

/* The blocks of one batch: at least one range, ascending. */
typedef struct Blocks
{
	int			nranges;
	BlockRange	ranges[MOST_RANGES];
} Blocks;

/*
 * The blocks are shared out among workers in chunks of so many.  A chunk is
 * claimed by a session lock, which also an error gives back; false: another
 * process has it.
 */
extern BlockNumber step_chunk_blocks(const Step *step, int workers);
extern bool step_claim_chunk(const Step *step, BlockNumber chunk);
extern void step_leave_chunk(const Step *step, BlockNumber chunk);

/* No chunk, but claimed alike: who has the table vacuumed meanwhile. */
#define STEP_VACUUM PG_UINT16_MAX

/* The first block left at or after from; false: there is none. */
extern bool step_first_block(const Step *step, int64 from,
							 BlockNumber *block);

/*
 * The next blocks left: at most most of them, at or after *cursor, which moves
 * behind them, and before end; false: there is none.
 */
extern bool step_next_blocks(const Step *step, BlockNumber *cursor,
							 int64 end, int most, Blocks *blocks);

/* How many they are. */
extern int	blocks_count(const Blocks *blocks);

/* Cuts blocks off behind last, which is not before the first. */
extern void blocks_cut(Blocks *blocks, BlockNumber last);

/*
 * Takes blocks off the list, except those in again, ascending, and reads the
 * counts of the step again.
 */
extern void step_advance(Step *step, const Blocks *blocks, List *again,
						 const StepAdvance *advance);

#endif							/* TANDEM_STEP_H */
