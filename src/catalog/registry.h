/*
 * registry.h
 *		Which releases are served, and what is noted of them.
 */
#ifndef TANDEM_REGISTRY_H
#define TANDEM_REGISTRY_H

#include "nodes/pg_list.h"
#include "storage/lock.h"

/*-------------------------------------------------------------------------
 * What is noted of releases in tandem.release_state, read without a trace.
 *
 * A serializable transaction that has read a table with a snapshot is at odds
 * with each one that adds to it meanwhile: the sessions of a release that is new
 * look for a note and find none, and add one each, and all but one would fail.
 * So these rows are read one by one, as they are committed: in no snapshot, of
 * which the server would keep that it was there.  It does no harm to see more
 * of them than of other tables, since rows are only added, but for releases
 * that are retired.
 *-------------------------------------------------------------------------
 */

/* Whether a session has written as that release after it was ready. */
extern bool release_note_is_used(int release);

/*-------------------------------------------------------------------------
 * Which releases of the application the database serves.
 *
 * The registry is tandem.registry (one row), tandem.release,
 * tandem.release_state and what each open migration adds.  It is read whole,
 * and kept by every session until a change is announced.
 *
 * That a release is ready is noted when it first is, and never computed away:
 * only a migration that names that very release and was never filled suspends
 * it.
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
	int			current;		/* where operators have put the pointer; 0:
								 * nowhere */
	int			lowest;			/* releases below it are retired; 0: none */
	int			highest;		/* newest release that is known; 0: none is */
	int			unfilled;		/* lowest release that a migration names which
								 * was never filled; 0: none */
	int			contracting;	/* id of the migration whose contract fences;
								 * 0 */
	int			nready;
	ReleaseRange *ready;		/* the releases that are ready, ascending;
								 * palloc'd with the rest */
} Registry;

/* What a release may do. */
typedef enum ReleaseState
{
	RELEASE_READY,
	RELEASE_CURRENT,
	RELEASE_READ_ONLY,			/* its fill has not ended */
	RELEASE_RETIRED,			/* its columns are gone, or about to go */
	RELEASE_UNKNOWN				/* newer than what the database is prepared
								 * for */
} ReleaseState;

extern ReleaseState registry_state_of(const Registry *registry, int release);

/* "ready", "current", "read_only", "retired", "unknown" */
extern const char *release_state_name(ReleaseState state);

/*
 * Keeps every other change of the registry out until the end of the
 * transaction.  Errors: another change goes on for seconds.
 */
extern void registry_lock(void);

/* The same without waiting; whether it was had. */
extern bool registry_try_lock(void);

/*
 * Keeps a release from becoming the current one while a migration of it is
 * created (ShareLock), and the other way round (ExclusiveLock), until the end
 * of the transaction.  Errors: as registry_lock.
 */
extern void registry_lock_release(int release, LOCKMODE mode);

/*
 * Reads it as it is committed now, and as this transaction has changed it.  The
 * other one leaves a migration out.  What it points to is in the current memory
 * context.
 */
extern void registry_read(Registry *registry);
extern void registry_read_without(Registry *registry, int migration_id);

/*
 * The table whose relcache entry stands for the registry; invalid: the database
 * does not have the extension, or is about to get it.  Kept by the session, so
 * that it may be asked with each statement.
 */
extern Oid	registry_relid(void);

/* For _PG_init. */
extern void registry_init(void);

/* Counts what may have changed the registry; never 0.  Costs nothing. */
extern uint64 registry_generation(void);

/*
 * Announces at commit that the registry has changed: to be called by whoever
 * changes a table that it is read from.
 */
extern void registry_changed(void);

/*
 * What would keep the release from writing once that migration has ended: the
 * ids of other migrations that were never filled, of that very release, or,
 * where it was not ready yet, of one before it.
 */
extern List *registry_kept_back_by(int migration_id, int release);

/*
 * Notes which releases are ready, as this transaction has left the migrations
 * and releases; and announces the change.  To be called after each change of
 * them.  It only adds rows, so that no two transactions wait for each other.
 */
extern void registry_note_ready(void);

/*
 * Notes that a session has written as that release after it was ready, and
 * announces it.  The note is of the running transaction: when that aborts, this
 * session looks again.  release_note_is_used looks for it.
 */
extern void registry_note_used(int release);

/* Whether the current user may: has EXECUTE on tandem.switch_release. */
extern bool registry_may_change(void);

extern void registry_set_current(int release);

/*
 * Retires the releases below lowest; contracting is 0 when that is final, which
 * ends what was noted of them.  The caller has registry_lock.
 */
extern void registry_set_lowest(int lowest, int contracting);

/* The lowest release as the migrations that are done have made it; 0: none. */
extern int	registry_lowest_final(void);

/* Makes a release known that needs no migration. */
extern void registry_add_release(int release, const char *comment);

/* The version of a dependency; false: it is not known. */
extern bool registry_dependency(const char *name, int *version);
extern void registry_set_dependency(const char *name, int version);

#endif							/* TANDEM_REGISTRY_H */
