/*
 * drain.c
 *		Refuses the releases before a migration's, and waits for their
 *		transactions.
 *
 * From the commit that raises the fence to the one that ends it or takes it
 * back, interrupts are held except in the steps of drain_step, whose errors
 * are caught.  So the fence does not stay, whenever a cancel arrives.  After a
 * crash it does stay: the old release remains refused, tandem.releases shows
 * by which migration, and calling contract again, or abort, ends that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"

#include "catalog/migration_rights.h"
#include "catalog/registry.h"
#include "catalog/run_control.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/transaction.h"
#include "release/drain.h"
#include "release/session.h"

#define LOOK_EVERY_MS 1000
#define GRACE_MS 200

/* migration whose fence is taken back if this process is terminated, or 0 */
static int	fencing = 0;

static bool
migration_has_fence(const Migration *migration)
{
	return migration->release > 0;
}

typedef struct Drain
{
	const Migration *migration;
	List	   *relids;
	int64		end;
	int			timeout_ms;
	bool		begun;
	List	   *left;			/* transactions that have not ended */
	bool		ended;
} Drain;

/* Looks once; throws an error when the time is over. */
static void
look_for_transactions_left(void *arg)
{
	Drain	   *drain = arg;
	const Migration *migration = drain->migration;
	char	   *text;

	if (!drain->begun)
		drain->left = sessions_in_transaction_before(migration, drain->relids);
	drain->begun = true;
	drain->left = sessions_transactions_left(drain->left, &text);
	drain->ended = (drain->left == NIL);
	if (!drain->ended && clock_now() >= drain->end)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("transactions of releases before %d have not ended within %d s",
						migration->release, drain->timeout_ms / 1000),
				 errdetail("These: %s.", text),
				 errhint("Let them end, or end them with pg_terminate_backend(pid) or ROLLBACK PREPARED, then call tandem.contract again as before. Nothing was changed.")));
}

/*
 * Waits for a lock of one of them, so that pg_blocking_pids shows whom we wait
 * for.
 */
static void
queue_behind_transaction(void *arg)
{
	Drain	   *drain = arg;
	const char *transaction = linitial(drain->left);
	const char *colon = strchr(transaction, ':');
	int64		left = clock_ms_until(drain->end);

	lock_wait_for_transaction(colon ? colon + 1 : transaction,
							  (int) Min(left, LOOK_EVERY_MS));
}

typedef struct DrainStep
{
	void		(*work) (void *);
	void	   *arg;
} DrainStep;

/*
 * Otherwise the commit would run these user-defined triggers with interrupts
 * held.
 */
static void
run_deferred_triggers(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(all);
}

/*
 * An error resets the hold of interrupts, so it is set again after catching
 * it.
 */
static void
run_drain_step(void *arg)
{
	DrainStep  *step = arg;

	RESUME_INTERRUPTS();
	step->work(step->arg);
	run_deferred_triggers();
	CHECK_FOR_INTERRUPTS();
	HOLD_INTERRUPTS();
}

/*
 * If the commit fails, by a serialization failure, a new transaction is
 * started.
 */
static ErrorData *
try_drain_commit(void)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		HOLD_INTERRUPTS();
	}
	PG_END_TRY();
	return error;
}

ErrorData *
drain_step(void (*work) (void *), void *arg)
{
	DrainStep	step = {work, arg};
	ErrorData  *error = subtransaction_catch(run_drain_step, &step, true);

	if (error == NULL)
		return try_drain_commit();
	HOLD_INTERRUPTS();
	return error;
}

/* Waits; returns the error that ended the wait, or NULL. */
static ErrorData *
wait_for_transactions_left(Drain *drain)
{
	ErrorData  *error = drain_step(look_for_transactions_left, drain);

	while (error == NULL && !drain->ended)
	{
		error = drain_step(queue_behind_transaction, drain);
		if (error == NULL)
			error = drain_step(look_for_transactions_left, drain);
	}
	return error;
}

/*
 * Gives active clients time to meet the fence.  Once the columns are dropped,
 * statements that name them fail before the fence sees them, with a less
 * helpful error.
 */
static void
give_clients_grace(void *arg)
{
	Drain	   *drain = arg;

	if (sessions_before_release(drain->migration, drain->relids) != NIL)
		interruptible_sleep(GRACE_MS);
}

/*
 * Called after pg_terminate_backend or at shutdown, when waiting is
 * impossible.
 */
static void
take_fence_back_at_exit(int code, Datum arg)
{
	Migration	migration = {.id = fencing};

	if (fencing == 0)
		return;
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	if (OidIsValid(registry_relid()) && registry_try_lock())
		drain_undo(&migration);
	CommitTransactionCommand();
}

static void
take_fence_back_when_terminated(const Migration *migration)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(take_fence_back_at_exit, (Datum) 0);
	registered = true;
	fencing = migration->id;
}

/* Another contract may be fencing, or have crashed while it was. */
static void
check_no_other_contract(const Migration *migration, const Registry *registry)
{
	Migration  *other;

	if (registry->contracting == 0 ||
		registry->contracting == migration->id)
		return;
	other = migration_by_id(registry->contracting);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contract of migration \"%s\" has not ended",
					other ? other->name : "?"),
			 errdetail("It refuses releases before %d.", registry->lowest),
			 other ? errhint("Wait for it, or end it with CALL tandem.contract(%s) or CALL tandem.abort(%s).",
							 quote_literal_cstr(other->name),
							 quote_literal_cstr(other->name)) : 0));
}

static bool
retires_current_release(const Migration *migration, const Registry *registry)
{
	return registry->current > 0 && registry->current < migration->release;
}

/* Describes the migrations in the way; *first is the first of them. */
static char *
describe_migrations_in_way(List *ids, Migration **first)
{
	StringInfoData text;
	ListCell   *lc;

	*first = NULL;
	initStringInfo(&text);
	foreach(lc, ids)
	{
		Migration  *other = migration_by_id(lfirst_int(lc));

		if (other == NULL)
			continue;
		if (*first == NULL)
			*first = other;
		appendStringInfo(&text, "%smigration \"%s\" of release %d",
						 text.len ? ", " : "", other->name, other->release);
	}
	return text.data;
}

static char *
hint_to_fill(const Migration *migration, const Migration *other)
{
	char	   *name = quote_literal_cstr(other->name);
	char	   *fill = run_control_migrate_call(other->name);
	char	   *again = psprintf("CALL tandem.contract(%s)",
								 quote_literal_cstr(migration->name));

	if (migration_role_may_act(other, GetUserId()))
		return psprintf("Run %s, or, if it is not wanted, CALL tandem.abort(%s); then run %s again.",
						fill, name, again);
	return psprintf("Have role \"%s\", which created it, run %s, or CALL tandem.abort(%s); then run %s again.",
					other->created_by, fill, name, again);
}

/*
 * force does not override this.  It checks the release of the migration only.
 * Unfilled rows of later releases do not matter, nor migrations of older
 * releases started since it was ready.
 */
static void
check_release_may_write(const Migration *migration)
{
	List	   *ids = registry_kept_back_by(migration->id, migration->release);
	char	   *in_way;
	char	   *hint;
	Migration  *first;

	if (ids == NIL)
		return;
	in_way = describe_migrations_in_way(ids, &first);
	hint = first ? hint_to_fill(migration, first) : NULL;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contract of migration \"%s\" would leave no release that may write",
					migration->name),
			 errdetail("It retires the releases before %d, and release %d may not write until these are filled: %s.",
					   migration->release, migration->release, in_way),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * The current release is where operators want the application, so only they
 * move it.  But a release whose own migration is ended by force is never ready
 * before, and one cannot switch to it; then the current release moves with it.
 */
static void
check_release_not_current(const Migration *migration, const Registry *registry,
						  bool force)
{
	if (!retires_current_release(migration, registry) ||
		(force && registry_state_of(registry, migration->release) == RELEASE_READ_ONLY))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("release %d, which contract of migration \"%s\" would retire, is the current one",
					registry->current, migration->name),
			 errhint("Run SELECT tandem.switch_release(%d), then contract.",
					 migration->release)));
}

/* Returns the lowest release that remains served without this contract. */
static int
lowest_release_without(const Migration *migration, const Registry *registry)
{
	return registry->contracting == migration->id ? registry_lowest_final()
		: registry->lowest;
}

/*
 * One release must always be allowed to write: the current one, or if that is
 * to be retired or none was ever chosen, the oldest that remains (therefore
 * that one takes no new migration, see readiness.c).  This waits for a
 * migration of it that is being created, so call it before tables are locked.
 * *registry was read under the lock, and is read again.
 */
static void
check_leaves_writing_release(const Migration *migration, Registry *registry,
							 bool force)
{
	registry_lock();
	registry_lock_release(migration->release, ExclusiveLock);
	registry_read(registry);
	check_no_other_contract(migration, registry);
	if (Max(registry->current,
			lowest_release_without(migration, registry)) >= migration->release)
		return;
	check_release_may_write(migration);
	check_release_not_current(migration, registry, force);
}

ErrorData *
drain_old_releases(Migration *migration, List *relids, int timeout_ms,
				   bool force)
{
	Registry	registry;
	ErrorData  *error;
	Drain		drain = {
		.migration = migration,.relids = relids,.timeout_ms = timeout_ms,
		.end = clock_after_ms(timeout_ms)
	};

	check_leaves_writing_release(migration, &registry, force);
	registry_set_lowest(Max(registry.lowest, migration->release),
						migration->id);
	take_fence_back_when_terminated(migration);
	HOLD_INTERRUPTS();
	error = try_drain_commit();
	if (error == NULL)
		error = wait_for_transactions_left(&drain);
	if (error == NULL)
		error = drain_step(give_clients_grace, &drain);
	return error;
}

void
drain_within_transaction(Migration *migration, List *relids, bool force)
{
	Registry	registry;
	List	   *sessions;
	int			count;

	if (!migration_has_fence(migration))
		return;
	check_leaves_writing_release(migration, &registry, force);
	sessions = sessions_before_release(migration, relids);
	count = list_length(sessions);
	if (count == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg_plural("%d session of a release older than %d is connected",
						   "%d sessions of releases older than %d are connected",
						   count, count, migration->release),
			 errdetail("In a transaction block contract cannot refuse them first and wait for their transactions."),
			 errhint("Run CALL tandem.contract(%s) on its own, with autocommit on; see SELECT * FROM tandem.sessions;",
					 quote_literal_cstr(migration->name))));
}

/* Lock before any table, so that we do not wait with tables locked. */
void
drain_lock(const Migration *migration)
{
	if (migration_has_fence(migration))
		registry_lock();
}

void
drain_finish(const Migration *migration)
{
	Registry	registry;

	if (!migration_has_fence(migration))
		return;
	registry_read(&registry);
	registry_set_lowest(Max(registry.lowest, migration->release), 0);
	if (retires_current_release(migration, &registry))
		registry_set_current(migration->release);
}

void
drain_undo(const Migration *migration)
{
	Registry	registry;

	registry_read(&registry);
	if (registry.contracting == migration->id)
		registry_set_lowest(registry_lowest_final(), 0);
}

/* If a session holds the registry lock for longer, the fence stays. */
static void
take_fence_back(void *arg)
{
	registry_lock();
	drain_undo(arg);
}

void
drain_end(Migration *migration, ErrorData *error)
{
	ErrorData  *failure = NULL;

	if (error)
	{
		failure = subtransaction_catch(take_fence_back, migration, true);
		/* the error has reset the hold */
		if (failure)
			HOLD_INTERRUPTS();
		else
			failure = try_drain_commit();
	}
	/* from here on this process does not take it back */
	fencing = 0;
	RESUME_INTERRUPTS();
	if (failure)
		ereport(WARNING,
				(errcode(failure->sqlerrcode),
				 errmsg("releases before %d stay refused: %s",
						migration->release, failure->message),
				 errhint("Run CALL tandem.contract(%s) again, or CALL tandem.abort(%s).",
						 quote_literal_cstr(migration->name),
						 quote_literal_cstr(migration->name))));
	if (error)
		ReThrowError(error);
}
