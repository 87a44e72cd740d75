/*
 * registry.h
 *		The release registry: which releases are served, and notes about
 *		them.
 */
#ifndef TANDEM_REGISTRY_H
#define TANDEM_REGISTRY_H

#include "nodes/pg_list.h"
#include "storage/lock.h"

/*-------------------------------------------------------------------------
 * Notes about releases in tandem.release_state, read without a snapshot.
 *
 * A serializable transaction that has read a table with a snapshot conflicts
 * with all that insert into it meanwhile.  The sessions of a new release look
 * for a note, find none and insert one each, and all but one would fail.  So
 * these rows are read one by one as they are committed, without a snapshot
 * that the server would track.  Seeing more of them than of other tables is
 * harmless, since rows are only added, except for retired releases.
 *-------------------------------------------------------------------------
 */

/* Has a session written as that release after it was ready? */
extern bool release_note_is_used(int release);

/*-------------------------------------------------------------------------
 * Which releases of the application the database serves.
 *
 * The registry consists of tandem.registry (one row), tandem.release,
 * tandem.release_state and the open migrations.  It is read as a whole, and
 * cached by each session until a change is announced.
 *
 * A release is noted as ready once it is, and remains so.  It is suspended
 * only by a migration that names that release and was never filled.
 *-------------------------------------------------------------------------
 */

/* from first to last, both included */
typedef struct ReleaseRange
{
	int64		first;
	int64		last;
} ReleaseRange;

typedef struct Registry
{
	int			current;		/* release chosen by switch_release; 0 if none */
	int			lowest;			/* lower releases are retired; 0 if none */
	int			highest;		/* newest known release; 0 if none */
	int			unfilled;		/* lowest release of a migration that was
								 * never filled; 0 if none */
	int			contracting;	/* id of the migration whose contract fences
								 * older releases; 0 if none */
	int			nready;
	ReleaseRange *ready;		/* the ready releases, ascending; palloc'd
								 * with the rest */
} Registry;

/* What a release may do. */
typedef enum ReleaseState
{
	RELEASE_READY,
	RELEASE_CURRENT,
	RELEASE_READ_ONLY,			/* its fill has not finished */
	RELEASE_RETIRED,			/* its columns were dropped, or will be soon */
	RELEASE_UNKNOWN				/* newer than the database is prepared for */
} ReleaseState;

/* Returns what the release may do according to registry. */
extern ReleaseState registry_state_of(const Registry *registry, int release);

/* Returns "ready", "current", "read_only", "retired" or "unknown". */
extern const char *release_state_name(ReleaseState state);

/*
 * Excludes other changes of the registry until the end of the transaction.
 * Errors: another change takes longer than a few seconds.
 */
extern void registry_lock(void);

/* Does the same without waiting; returns whether the lock was granted. */
extern bool registry_try_lock(void);

/*
 * Locks the rows of the registry and of a migration, as far as they are there,
 * until the end of the transaction: what is done later with tables locked does
 * not wait for them.  Waits for lock_timeout.
 */
extern void registry_lock_rows(int migration_id);

/*
 * Until the end of the transaction, excludes making a release current
 * (ExclusiveLock) while a migration of it is created (ShareLock), and the
 * other way around.  Errors: as for registry_lock.
 */
extern void registry_lock_release(int release, LOCKMODE mode);

/*
 * registry_read reads the registry as it is committed now and changed by this
 * transaction; registry_read_without leaves out one migration.  The arrays are
 * in the current memory context.
 */
extern void registry_read(Registry *registry);
extern void registry_read_without(Registry *registry, int migration_id);

/* Returns the number that a release to come may have; where none is known, one for an example. */
extern int	registry_next_release(void);

/*
 * Returns the table whose relcache entry stands for the registry, or
 * InvalidOid if the database does not have the extension, or is just getting
 * it.  Cached, so it can be called for each statement.
 */
extern Oid	registry_relid(void);

/* Called from _PG_init. */
extern void registry_init(void);

/*
 * Returns a counter, never 0, that changes when the registry may have changed.
 * Costs nothing.
 */
extern uint64 registry_generation(void);

/*
 * Announces at commit that the registry has changed.  Must be called by all
 * code that changes a table from which it is read.
 */
extern void registry_changed(void);

/*
 * Returns what would keep the release from writing after that migration has
 * ended: the ids of other migrations that were never filled, of the same
 * release or, if it was not ready yet, of an earlier one.
 */
extern List *registry_kept_back_by(int migration_id, int release);

/*
 * Notes which releases are ready after this transaction's changes, and
 * announces the change.  Must be called after each change of migrations and
 * releases.  It only inserts rows, so transactions do not wait for each other.
 */
extern void registry_note_ready(void);

/*
 * A migration of a release was aborted.  In a region the release is noted as ready
 * anew only if all other regions have expanded it again, unless it was noted
 * together with another one.  Call before registry_note_ready.
 */
extern void registry_forget_ready(int release);

/* The same where nothing has changed here: announces only what it has noted. */
extern void registry_look_for_ready(void);

/*
 * Notes that a session has written as that release after it was ready, and
 * announces it.  The note belongs to the running transaction; if that aborts,
 * the session notes it again.  release_note_is_used looks for it.
 */
extern void registry_note_used(int release);

/*
 * May the current user change the registry?  It takes EXECUTE on
 * tandem.switch_release.
 */
extern bool registry_may_change(void);

/* Makes release the current one, and announces the change.  Checks nothing. */
extern void registry_set_current(int release);

/*
 * Retires the releases below lowest.  contracting is 0 if this is final, which
 * deletes the notes about them.  The caller holds registry_lock.
 */
extern void registry_set_lowest(int lowest, int contracting);

/* Returns the lowest release as set by the migrations that are done, or 0. */
extern int	registry_lowest_final(void);

/* Registers a release that needs no migration. */
extern void registry_add_release(int release, const char *comment);

/* Gets the version of a dependency; returns false if it is not registered. */
extern bool registry_dependency(const char *name, int *version);

/* Records the version of a dependency, and announces the change. */
extern void registry_set_dependency(const char *name, int version);

#endif							/* TANDEM_REGISTRY_H */
