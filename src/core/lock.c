/*
 * lock.c
 *		Takes strong locks on tables without making others wait long.
 *
 * All later readers and writers of a table queue behind a strong lock that
 * waits, possibly until the oldest transaction on the table ends.  So each try
 * is short and made in a subtransaction, which releases all locks if it fails.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/wait_event.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"
#include "core/wait_chain.h"

SQL_FUNCTION(tandem_describe_sessions);

#define FIRST_PAUSE_MS 50
#define LONGEST_PAUSE_MS 3000
#define DEADLOCK_CHECK_MS 20

void
interruptible_sleep(long ms)
{
	int64		end = clock_after_ms(ms);

	for (;;)
	{
		int64		left;

		CHECK_FOR_INTERRUPTS();
		left = clock_ms_until(end);
		if (left <= 0)
			return;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) left, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

bool
lock_is_ours(Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (compat_lock_is_held(&tag, mode))
			return true;
	}
	return false;
}

/*
 * The query runs as the extension's owner.  So it tests by itself what
 * pg_stat_activity would show to the current user.
 */
char *
lock_describe_session(int pid)
{
	Oid			reader = GetUserId();
	TandemQuery query;

	query_begin(&query);
	query_int(&query, pid);
	query_oid(&query, reader);
	return query_end_text(&query, query_run(&query,
											"SELECT description FROM tandem._describe_session($1, $2)"));
}

char *
lock_describe_prepared(TransactionId xid)
{
	TandemQuery query;

	query_begin(&query);
	query_datum(&query, XIDOID, TransactionIdGetDatum(xid), false);
	return query_end_text(&query, query_run(&query,
											"SELECT format('prepared transaction %L (user %I, prepared for %s)', gid, owner, "
											"date_trunc('second', greatest(clock_timestamp() - prepared, '0'))) "
											"FROM pg_prepared_xacts WHERE transaction = $1"));
}

/*
 * Returns the session's pid; 0 if the transaction is prepared, or has ended.
 */
static int
session_of_transaction(TransactionId xid)
{
	TandemQuery query;

	query_begin(&query);
	query_datum(&query, XIDOID, TransactionIdGetDatum(xid), false);
	return query_end_int(&query, query_run(&query,
										   "SELECT coalesce(pid, 0) FROM pg_locks WHERE locktype = 'transactionid' "
										   "AND transactionid = $1 AND granted"));
}

char *
lock_describe_transaction(TransactionId xid)
{
	int			pid = session_of_transaction(xid);
	char	   *text = pid > 0 ? lock_describe_session(pid)
	: lock_describe_prepared(xid);

	return text ? text : "a session that has ended meanwhile";
}

char *
lock_transaction_mark(TransactionId xid)
{
	int			pid = session_of_transaction(xid);

	return pid > 0 ? lock_session_mark(pid) : lock_prepared_mark(xid);
}

char *
lock_session_mark(int pid)
{
	return psprintf("{pid %d}", pid);
}

char *
lock_prepared_mark(TransactionId xid)
{
	return psprintf("{xid %u}", xid);
}

/* *marked starts with a brace; advances it past the mark, if it is one. */
static char *
describe_session_mark(const char **marked)
{
	unsigned int number;
	int			length = 0;
	bool		session = sscanf(*marked, "{pid %u}%n", &number, &length) == 1 &&
	length > 0;
	bool		prepared = !session &&
	sscanf(*marked, "{xid %u}%n", &number, &length) == 1 && length > 0;
	char	   *description;

	if (!session && !prepared)
	{
		(*marked)++;
		return pstrdup("{");
	}
	*marked += length;
	description = session ? lock_describe_session((int) number)
		: lock_describe_prepared((TransactionId) number);
	if (description)
		return description;
	return session ? psprintf("pid %u (has ended)", number)
		: pstrdup("a transaction that has ended");
}

char *
lock_describe_marks(const char *marked)
{
	StringInfoData result;

	initStringInfo(&result);
	while (*marked)
	{
		if (*marked == '{')
			appendStringInfoString(&result, describe_session_mark(&marked));
		else
			appendStringInfoChar(&result, *marked++);
	}
	return result.data;
}

Datum
tandem_describe_sessions(PG_FUNCTION_ARGS)
{
	char	   *marked = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_TEXT_P(cstring_to_text(lock_describe_marks(marked)));
}

/* NULL if it has ended meanwhile */
static char *
mark_of_holder(VirtualTransactionId holder)
{
	bool		more;
	int			pid = compat_holder_pid(holder);
	TransactionId prepared;

	if (pid)
		return lock_session_mark(pid);
	prepared = TwoPhaseGetXidByVirtualXID(holder, &more);
	return TransactionIdIsValid(prepared) ? lock_prepared_mark(prepared)
		: NULL;
}

static char *
marks_of_tag_holders(const LOCKTAG *tag, LOCKMODE mode)
{
	VirtualTransactionId *holders;
	int			count;
	StringInfoData text;

	holders = GetLockConflicts(tag, mode, &count);
	initStringInfo(&text);
	for (int i = 0; i < count; i++)
	{
		char	   *holder = mark_of_holder(holders[i]);

		if (holder)
			appendStringInfo(&text, "%s%s", text.len ? ", " : "", holder);
	}
	if (text.len == 0)
		appendStringInfoString(&text, "a session that has ended meanwhile");
	return text.data;
}

char *
lock_describe_tag_holders(const LOCKTAG *tag, LOCKMODE mode)
{
	return lock_describe_marks(marks_of_tag_holders(tag, mode));
}

/* The text before the sessions in the DETAIL of an error of lock_relations. */
#define BEFORE_BLOCKERS "Blocked by: "

/* the sessions of the last such error, as marks, in TopMemoryContext */
static char *last_blockers = NULL;

/* Returns them as described for the current user. */
static char *
note_blockers(Oid relid, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	if (last_blockers)
		pfree(last_blockers);
	last_blockers = NULL;
	last_blockers = MemoryContextStrdup(TopMemoryContext,
										marks_of_tag_holders(&tag, mode));
	return lock_describe_marks(last_blockers);
}

static void
raise_lock_not_available(Oid relid, LOCKMODE mode, Oid held)
{
	char	   *name = quoting_find_name(relid);
	char	   *held_name = OidIsValid(held) ? quoting_find_name(held) : NULL;
	char	   *blockers = note_blockers(relid, mode);

	if (OidIsValid(held))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock table \"%s\" while this transaction has \"%s\" locked",
						name ? name : "(dropped)",
						held_name ? held_name : "(dropped)"),
				 errdetail(BEFORE_BLOCKERS "%s.", blockers),
				 errhint("Others would have to wait for what is locked already. Change one table a transaction; or call it again when the sessions named have ended their transactions. Nothing was changed.")));
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not lock table \"%s\" within %d s",
					name ? name : "(dropped)", setting_lock_retry_time),
			 errdetail(BEFORE_BLOCKERS "%s.", blockers),
			 errhint("Let those transactions end, or end them with pg_terminate_backend(pid) or ROLLBACK PREPARED, and call it again; nothing was changed.")));
}

char *
lock_blockers_of(const ErrorData *error)
{
	/* for any other error the message has to do */
	if (last_blockers == NULL || error->detail == NULL ||
		strncmp(error->detail, BEFORE_BLOCKERS, strlen(BEFORE_BLOCKERS)) != 0)
		return pstrdup(error->message ? error->message : "another session");
	return pstrdup(last_blockers);
}

/*
 * The session in the way waits for what this transaction has, its snapshot say, as
 * CREATE INDEX CONCURRENTLY does.
 */
static void
raise_lock_circle(Oid relid, LOCKMODE mode)
{
	char	   *name = quoting_find_name(relid);
	char	   *blockers = note_blockers(relid, mode);

	ereport(ERROR,
			(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
			 errmsg("could not lock table \"%s\": a session in the way waits for this transaction",
					name ? name : "(dropped)"),
			 errdetail(BEFORE_BLOCKERS "%s.", blockers),
			 errhint("Nothing was changed, and that session goes on now. Call it again when its statement has ended.")));
}

typedef struct LockTry
{
	List	   *relids;
	LOCKMODE	mode;
	int			ms;				/* for all of them */
	Oid			current;		/* the relation being locked */
	bool		deadlock;		/* somebody in the way waits for us */
} LockTry;

/*
 * What a statement_timeout of the caller, or a cancel, says of the lock that is waited
 * for: with the error of the server alone nobody knows which table, or who is in the way.
 */
typedef struct LockWaitNote
{
	char	   *table;			/* NULL before the first try has failed */
	char	   *blockers;
} LockWaitNote;

static void
lock_wait_context(void *arg)
{
	LockWaitNote *note = arg;

	if (note->table)
		errcontext("waiting for a lock on table \"%s\", blocked by: %s", note->table, note->blockers);
}

static void
note_lock_wait(LockWaitNote *note, Oid relid, LOCKMODE mode)
{
	char	   *name = quoting_find_name(relid);

	note->blockers = note_blockers(relid, mode);
	note->table = name ? name : pstrdup("(dropped)");
}

static void
set_for_lock_try(const char *name, const char *value)
{
	/* a role without that right does not choose the value */
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Lasts until the end of the GUC nest level that the caller has started. */
static void
limit_lock_waits(long ms)
{
	set_for_lock_try("lock_timeout", psprintf("%ld", Max(ms, 1)));
}

/*
 * The same for a strong lock on a table.  Only a wait of deadlock_timeout makes
 * the server cancel an autovacuum that is in the way, and ours are shorter than
 * that.  In a deadlock, the first whose timeout ends is given up: that is us,
 * and not a client.  With log_lock_waits each try would be logged.
 */
static void
limit_strong_lock_waits(long ms)
{
	limit_lock_waits(ms);
	set_for_lock_try("deadlock_timeout",
					 psprintf("%ld", Max(Min(DEADLOCK_CHECK_MS, Min(DeadlockTimeout, ms / 2)), 1)));
	set_for_lock_try("log_lock_waits", "off");
}

static bool
holder_waits_for_us(const LockTry *try)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, try->current);
	return wait_chain_holder(&tag, try->mode) == HOLDER_WAITS_FOR_US;
}

/*
 * One who waits for us already may look for a deadlock at any moment, and would be
 * the one to fail if it found us in its queue.
 */
static void
wait_for_relation(const LockTry *try, long ms)
{
	if (ConditionalLockRelationOid(try->current, try->mode))
		return;
	if (holder_waits_for_us(try))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
				 errmsg_internal("a session in the way waits for this one")));
	limit_strong_lock_waits(ms);
	LockRelationOid(try->current, try->mode);
}

/*
 * Locks all of them.  A session queued behind us must get through within
 * tandem.lock_timeout, so we wait a tenth less than that.
 */
static void
lock_all_relations(void *arg)
{
	LockTry    *try = arg;
	int64		end = clock_after_ms(try->ms - try->ms / 10);
	int			level = NewGUCNestLevel();
	ListCell   *lc;

	foreach(lc, try->relids)
	{
		try->current = lfirst_oid(lc);
		wait_for_relation(try, (long) clock_ms_until(end));
	}
	AtEOXact_GUC(false, level);
}

/* Makes one try.  If it fails, none is locked. */
static bool
try_lock_relations(LockTry *try)
{
	ErrorData  *error = subtransaction_try(lock_all_relations, try);

	if (error == NULL)
		return true;
	if (!error_passes_with_others(error))
		ReThrowError(error);
	try->deadlock = error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	return false;
}

long
lock_next_pause(double *pause)
{
	*pause = *pause == 0 ? FIRST_PAUSE_MS : Min(*pause * 1.5, LONGEST_PAUSE_MS);
	return (long) (*pause * (0.5 + pg_prng_double(&pg_global_prng_state)));
}

/* Nobody else can wait for what this transaction has made. */
static bool
relation_is_of_transaction(Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	bool		result;

	if (rel == NULL)
		return false;
	result = rel->rd_createSubid != InvalidSubTransactionId;
	RelationClose(rel);
	return result;
}

/*
 * Returns a relation on which this transaction has a lock that keeps writers
 * out, by whatever command, or InvalidOid.
 */
static Oid
strong_lock_of_transaction(void)
{
	TandemQuery query;
	List	   *relids;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, MyDatabaseId);
	relids = query_oids(&query,
						"SELECT l.relation FROM pg_locks l WHERE l.locktype = 'relation' AND l.granted AND l.pid = pg_backend_pid() "
						"AND l.database = $1 AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') "
						"ORDER BY l.relation");
	query_end(&query);
	foreach(lc, relids)
	{
		if (lfirst_oid(lc) >= FirstNormalObjectId &&
			!relation_is_of_transaction(lfirst_oid(lc)))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

typedef struct LockPatience
{
	Oid			held;			/* what the transaction has locked before */
	int64		give_up;
	int			try_ms;			/* length of one try */
	long		longest_pause;	/* in ms */
} LockPatience;

/*
 * Nothing is waited for long while others wait for us: then there is time for
 * two tries.  Somebody in the way may come to wait for us, too.  Its session
 * looks for a deadlock when it has waited for deadlock_timeout, and would be
 * the one to fail.  So a new try, in which ours looks, begins before that.
 */
static LockPatience
lock_patience(int64 started)
{
	LockPatience patience = {
		.held = strong_lock_of_transaction(),
		.give_up = started + setting_lock_retry_time * USECS_PER_SEC,
		.try_ms = setting_lock_timeout,
		.longest_pause = LONGEST_PAUSE_MS,
	};

	if (!OidIsValid(patience.held))
		return patience;
	patience.give_up = Min(patience.give_up,
						   started + 2 * setting_lock_timeout * INT64CONST(1000));
	patience.try_ms = Max(Min(setting_lock_timeout, DeadlockTimeout / 3), 1);
	patience.longest_pause = Max(DeadlockTimeout / 3, 1);
	return patience;
}

/* Returns ms, or -1 if there is no time for another try. */
static long
pause_before_next_try(const LockPatience *patience, const LockTry *try,
					  double *pause)
{
	long		left = (long) clock_ms_until(patience->give_up);
	long		wanted = Min(lock_next_pause(pause), patience->longest_pause);

	if (!OidIsValid(patience->held))
		return left > 0 ? wanted : -1;
	left -= patience->try_ms - patience->try_ms / 10;
	return try->deadlock || left < 0 ? -1 : Min(wanted, left);
}

/* the order in which the next try would lock them, in TopMemoryContext */
static List *last_order = NIL;

static void
keep_last_order(List *relids)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	list_free(last_order);
	last_order = NIL;
	last_order = list_copy(relids);
	MemoryContextSwitchTo(caller);
}

/* Who makes one try in a call goes on where the call before has come to. */
static List *
order_to_lock(const List *relids)
{
	List	   *order = list_copy(relids);

	list_sort(order, list_oid_cmp);
	if (list_difference_oid(order, last_order) == NIL &&
		list_difference_oid(last_order, order) == NIL)
		return list_copy(last_order);
	return order;
}

/*
 * Who uses several of them has an order of his own.  If ours is another one, he comes to
 * wait for what a try has got, while it waits for what he has: so that comes first now.
 */
static void
lock_first_what_was_missed(LockTry *try)
{
	try->relids = lcons_oid(try->current, list_delete_oid(try->relids, try->current));
	keep_last_order(try->relids);
}

static void
lock_relations_noted(List *relids, LOCKMODE mode, LockWaitNote *note)
{
	LockTry		try = {.relids = order_to_lock(relids),.mode = mode};
	int64		started = clock_now();
	LockPatience patience = {0};
	double		pause = 0;

	try.ms = setting_lock_timeout;

	/* a short try that succeeds need not know */
	if (setting_lock_timeout > DeadlockTimeout / 3)
	{
		patience = lock_patience(started);
		try.ms = patience.try_ms;
	}
	while (!try_lock_relations(&try))
	{
		long		ms;

		if (patience.try_ms == 0)
			patience = lock_patience(started);
		/* not even now that what the try had locked is free again */
		if (try.deadlock && !OidIsValid(patience.held) &&
			holder_waits_for_us(&try))
			raise_lock_circle(try.current, mode);
		try.ms = patience.try_ms;
		note_lock_wait(note, try.current, mode);
		lock_first_what_was_missed(&try);
		ms = pause_before_next_try(&patience, &try, &pause);
		if (ms < 0)
			raise_lock_not_available(try.current, mode, patience.held);
		interruptible_sleep(ms);
	}
	if (mode >= ShareLock)
		query_limit_waits(2 * setting_lock_timeout);
}

void
lock_relations(List *relids, LOCKMODE mode)
{
	LockWaitNote note = {0};
	ErrorContextCallback callback = {error_context_stack, lock_wait_context, &note};

	error_context_stack = &callback;
	lock_relations_noted(relids, mode, &note);
	error_context_stack = callback.previous;
}

void
lock_give_way(bool gives)
{
	SetConfigOption("deadlock_timeout", gives ? "1" : NULL, PGC_SUSET, PGC_S_SESSION);
	/* the server logs a wait when it looks */
	SetConfigOption("log_lock_waits", gives ? "off" : NULL, PGC_SUSET, PGC_S_SESSION);
}

typedef struct LimitedWork
{
	void		(*work) (void *);
	void	   *arg;
	int			timeout_ms;
} LimitedWork;

static void
work_with_lock_limit(void *arg)
{
	LimitedWork *limited = arg;
	int			level = NewGUCNestLevel();

	limit_strong_lock_waits(limited->timeout_ms);
	limited->work(limited->arg);
	AtEOXact_GUC(false, level);
}

ErrorData *
lock_limited_try(void (*work) (void *), void *arg, int timeout_ms)
{
	LimitedWork limited = {work, arg, timeout_ms};

	return subtransaction_try(work_with_lock_limit, &limited);
}

int
lock_retry_ms(void)
{
	return Max(Min(setting_lock_retry_time, INT_MAX / 1000) * 1000,
			   setting_lock_timeout);
}

typedef struct TagWait
{
	const LOCKTAG *tag;
	LOCKMODE	mode;
	int			timeout_ms;
} TagWait;

void
lock_refuse_standby(LOCKMODE mode)
{
	if (mode > RowExclusiveLock && RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("pg_tandem changes nothing on a standby"),
				 errhint("Call it on the primary.")));
}

/* Waits for another's transaction, for a lock that is none of a table. */
static int
limited_ms(int timeout_ms)
{
	int			limit = query_waits_limit();

	return limit > 0 ? Min(timeout_ms, limit) : timeout_ms;
}

static void
wait_for_lock_tag(void *arg)
{
	TagWait    *wait = arg;
	int			level = NewGUCNestLevel();

	lock_refuse_standby(wait->mode);
	limit_lock_waits(limited_ms(wait->timeout_ms));
	(void) LockAcquire(wait->tag, wait->mode, false, false);
	AtEOXact_GUC(false, level);
}

bool
lock_wait(const LOCKTAG *tag, LOCKMODE mode, int timeout_ms)
{
	TagWait		wait = {tag, mode, timeout_ms};
	ErrorData  *error = subtransaction_try(wait_for_lock_tag, &wait);

	if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	return error == NULL;
}

typedef struct TransactionWait
{
	const char *transaction;
	int			timeout_ms;
} TransactionWait;

static void
wait_for_transaction_end(void *arg)
{
	TransactionWait *wait = arg;
	int			level = NewGUCNestLevel();
	int			process;
	unsigned int number;

	limit_lock_waits(limited_ms(wait->timeout_ms));
	if (sscanf(wait->transaction, "%d/%u", &process, &number) == 2)
		(void) VirtualXactLock(compat_virtual_transaction(process, number),
							   true);
	else
		XactLockTableWait((TransactionId) strtoul(wait->transaction, NULL, 10),
						  NULL, NULL, XLTW_None);
	AtEOXact_GUC(false, level);
}

void
lock_wait_for_transaction(const char *transaction, int timeout_ms)
{
	TransactionWait wait = {transaction, timeout_ms};
	ErrorData  *error = subtransaction_try(wait_for_transaction_end, &wait);

	if (error && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
}
