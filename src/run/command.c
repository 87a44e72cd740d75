/*
 * command.c
 *		Runs statements at top level in a background worker.
 *
 * The statement and its error are passed in a dynamic shared memory segment,
 * which lives as long as the worker.  A worker that dies leaves no answer in it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "catalog/migration_lock.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "core/wait_chain.h"
#include "run/command.h"
#include "run/loop.h"
#include "run/process.h"

#define WATCH_EVERY_MS 500

/* a statement that is rehearsed is watched for its locks */
#define WATCH_OWN_EVERY_MS 5

#define TEXT_SIZE 2048

/* for a statement of usual length, so that one segment does for all */
#define STATEMENT_SIZE 8192

/*
 * How long a worker waits for another statement.  Meanwhile it takes a place
 * from other runs, so not longer than a runner takes between two short ones.
 */
#define IDLE_MS 200

/* the default of autovacuum_vacuum_cost_delay */
#define GENTLE_COST_DELAY "2ms"

/*
 * Who may change it from what to what: the caller from done to ordered, or to
 * left; the worker from ordered to started, and on to done, failed or left, and
 * from done to left.
 */
typedef enum CommandState
{
	COMMAND_ORDERED,			/* no worker has started it yet */
	COMMAND_STARTED,
	COMMAND_DONE,				/* the worker waits for another */
	COMMAND_FAILED,				/* and has ended */
	COMMAND_LEFT				/* done, and the worker has ended, or is to */
} CommandState;

typedef struct CommandSegment
{
	pg_atomic_uint32 state;
	int			caller;			/* process id, of whoever waits */
	Oid			relation;		/* table of the statement; InvalidOid for one
								 * of the caller's own */
	int			lock_timeout;	/* ms; this, and the next, for such a one */
	char		search_path[TEXT_SIZE];
	int			sqlerrcode;
	char		message[TEXT_SIZE];
	char		detail[TEXT_SIZE];
	char		hint[TEXT_SIZE];
	char		context[TEXT_SIZE];
	char		statement[FLEXIBLE_ARRAY_MEMBER];
} CommandSegment;

/* A statement that is to be run. */
typedef struct CommandCall
{
	const Migration *migration; /* NULL: the caller's own */
	const char *sql;
	Oid			relation;
	const char *search_path;	/* NULL: that of expand */
	int			lock_timeout_ms;
	CommandWatch watch;
	int			watch_every_ms;
	void	   *arg;			/* of watch */
} CommandCall;

/* The worker of this process. */
typedef struct Command
{
	dsm_segment *memory;		/* NULL if there is none */
	CommandSegment *segment;
	Size		room;			/* for a statement */
	BackgroundWorkerHandle *handle;
	ProcessOrder order;
	bool		reused;			/* it has run another statement before */
} Command;

static Command command;

PROCESS_MAIN(tandem_command_main);

static CommandState
command_state(CommandSegment *segment)
{
	CommandState state = pg_atomic_read_u32(&segment->state);

	/* what was written before the state is read after it */
	pg_read_barrier();
	return state;
}

static bool
change_command_state(CommandSegment *segment, CommandState from, CommandState to)
{
	uint32		expected = from;

	return pg_atomic_compare_exchange_u32(&segment->state, &expected, to);
}

static void
set_command_state(CommandSegment *segment, CommandState state)
{
	pg_write_barrier();
	pg_atomic_write_u32(&segment->state, state);
}

static void
wake_process(int pid)
{
	PGPROC	   *process = BackendPidGetProc(pid);

	if (process)
		SetLatch(&process->procLatch);
}

/*-------------------------------------------------------------------------
 * The worker.
 *-------------------------------------------------------------------------
 */

static void
copy_command_text(char *to, const char *from)
{
	text_copy(to, from, TEXT_SIZE);
}

static void
note_command_error(CommandSegment *segment)
{
	ErrorData  *error;

	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	segment->sqlerrcode = error->sqlerrcode;
	copy_command_text(segment->message, error->message);
	copy_command_text(segment->detail, error->detail);
	copy_command_text(segment->hint, error->hint);
	copy_command_text(segment->context, error->context);
	set_command_state(segment, COMMAND_FAILED);
}

/*
 * Runs the statement.  Returns whether the session is as it was before, so that
 * another one may follow.
 */
static bool
run_command(CommandSegment *segment)
{
	bool		own = !OidIsValid(segment->relation);
	volatile bool clean = false;

	lock_give_way(!own);
	PG_TRY();
	{
		if (own)
			top_level_run_own(segment->statement);
		else
			clean = top_level_run(segment->statement, segment->relation);
	}
	PG_CATCH();
	{
		note_command_error(segment);
	}
	PG_END_TRY();
	/* our own queries between two statements wait as others do */
	lock_give_way(false);
	return clean;
}

/* Returns whether the caller has ordered another statement. */
static bool
wait_for_next_command(CommandSegment *segment)
{
	int64		began = clock_now();

	for (;;)
	{
		switch (command_state(segment))
		{
			case COMMAND_ORDERED:
				return true;
			case COMMAND_DONE:
				break;
			default:
				return false;
		}
		if (clock_ms_since(began) >= IDLE_MS &&
			change_command_state(segment, COMMAND_DONE, COMMAND_LEFT))
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 IDLE_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
take_path_of_table(int migration_id, Oid relid)
{
	StartTransactionCommand();
	process_take_expand_path(migration_id, relid);
	CommitTransactionCommand();
}

/* What a statement of the caller's own says is his, and so is what it leaves of the session. */
static void
take_settings_of_caller(const CommandSegment *segment)
{
	SetConfigOption("search_path", segment->search_path, PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", psprintf("%d", segment->lock_timeout), PGC_USERSET, PGC_S_SESSION);
}

static bool
join_as_command_worker(const ProcessOrder *order)
{
	bool		joined;

	if (order->migration_id == 0)
		return true;
	StartTransactionCommand();
	joined = migration_join_workers(order->migration_id, order->runner);
	CommitTransactionCommand();
	return joined;
}

/*
 * Each statement finds the session as one that has just begun.  So nobody is
 * given another one after an error, or where functions of others have run that
 * may have changed a setting.
 */
static void
run_commands(const ProcessOrder *order)
{
	dsm_segment *memory = dsm_attach(order->segment);
	CommandSegment *segment;
	bool		goes_on;

	if (memory == NULL)
		return;					/* the caller is gone */
	segment = dsm_segment_address(memory);
	set_command_state(segment, COMMAND_STARTED);
	if (!join_as_command_worker(order))
		return;					/* the caller is gone or has cancelled */
	/* the last commit of the run waits for the disk */
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION);
	if (order->gentle)
		SetConfigOption("vacuum_cost_delay", GENTLE_COST_DELAY, PGC_USERSET,
						PGC_S_OVERRIDE);
	do
	{
		set_command_state(segment, COMMAND_STARTED);
		process_reload_settings();
		if (OidIsValid(segment->relation))
			take_path_of_table(order->migration_id, segment->relation);
		else
			take_settings_of_caller(segment);
		goes_on = run_command(segment);
		if (command_state(segment) == COMMAND_FAILED)
			return;
		pgstat_report_stat(false);
		set_command_state(segment, goes_on ? COMMAND_DONE : COMMAND_LEFT);
		wake_process(segment->caller);
	} while (goes_on && wait_for_next_command(segment));
}

/* Main function of the worker. */
void
tandem_command_main(Datum argument)
{
	process_run(run_commands);
}

/*-------------------------------------------------------------------------
 * The caller.
 *
 * Its worker takes one statement after the other, as long as a new one would be
 * started in the very same way: as the same role, with the same rights and
 * settings.
 *-------------------------------------------------------------------------
 */

static void
forget_command_worker(void)
{
	if (command.handle)
		pfree(command.handle);
	if (command.memory)
		dsm_detach(command.memory);
	memset(&command, 0, sizeof(command));
}

static void
terminate_command_worker(void)
{
	TerminateBackgroundWorker(command.handle);
	/* a process that is exiting cannot wait */
	if (!proc_exit_inprogress)
		(void) WaitForBackgroundWorkerShutdown(command.handle);
}

/* An idle worker ends by itself: its session was in order. */
static void
dismiss_command_worker(void)
{
	pid_t		pid;

	if (!change_command_state(command.segment, COMMAND_DONE, COMMAND_LEFT) &&
		command_state(command.segment) != COMMAND_LEFT)
		terminate_command_worker();
	else if (!proc_exit_inprogress)
	{
		if (GetBackgroundWorkerPid(command.handle, &pid) == BGWH_STARTED)
			wake_process(pid);
		(void) WaitForBackgroundWorkerShutdown(command.handle);
	}
}

void
command_end(void)
{
	if (command.handle)
		dismiss_command_worker();
	forget_command_worker();
}

static void
create_command_segment(Size room)
{
	command.memory = dsm_create(offsetof(CommandSegment, statement) + room, 0);
	/* must outlive the transactions of the wait */
	dsm_pin_mapping(command.memory);
	command.segment = dsm_segment_address(command.memory);
	command.room = room;
	memset(command.segment, 0, offsetof(CommandSegment, statement));
	pg_atomic_init_u32(&command.segment->state, COMMAND_DONE);
}

static void
write_command(const CommandCall *call)
{
	CommandSegment *segment = command.segment;

	segment->caller = MyProcPid;
	segment->relation = call->relation;
	segment->lock_timeout = call->lock_timeout_ms;
	copy_command_text(segment->search_path, call->search_path);
	memcpy(segment->statement, call->sql, strlen(call->sql) + 1);
}

/* Would a worker that is started now be the same in all but its segment? */
static bool
command_worker_fits(const ProcessOrder *order)
{
	const ProcessOrder *is = &command.order;

	return is->database == order->database && is->role == order->role &&
		is->borrowed == order->borrowed && is->payer == order->payer &&
		is->spare == order->spare &&
		is->migration_id == order->migration_id &&
		is->runner == order->runner &&
		is->maintenance_work_mem == order->maintenance_work_mem &&
		is->max_parallel_maintenance_workers == order->max_parallel_maintenance_workers &&
		is->gentle == order->gentle;
}

/*
 * Gives the statement to the worker that is there.  Returns false if it does not
 * take it, because it has ended, or because another one is needed.
 */
static bool
give_to_command_worker(const ProcessOrder *order, const CommandCall *call)
{
	pid_t		pid;

	if (command.handle == NULL || strlen(call->sql) >= command.room ||
		!command_worker_fits(order) ||
		command_state(command.segment) != COMMAND_DONE ||
		GetBackgroundWorkerPid(command.handle, &pid) != BGWH_STARTED)
		return false;
	write_command(call);
	if (!change_command_state(command.segment, COMMAND_DONE, COMMAND_ORDERED))
		return false;
	command.reused = true;
	wake_process(pid);
	return true;
}

/* Returns false if no worker is free. */
static bool
start_command_worker(const ProcessOrder *order, const CommandCall *call)
{
	MemoryContext caller;
	ProcessOrder with_segment;

	command_end();
	create_command_segment(Max(strlen(call->sql) + 1, STATEMENT_SIZE));
	write_command(call);
	set_command_state(command.segment, COMMAND_ORDERED);
	command.order = *order;
	with_segment = *order;
	with_segment.segment = dsm_segment_handle(command.memory);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	command.handle = process_start("tandem_command_main", call->migration ? call->migration->name : "rehearsal",
								   &with_segment);
	MemoryContextSwitchTo(caller);
	if (command.handle == NULL)
		forget_command_worker();
	return command.handle != NULL;
}

typedef struct CommandWait
{
	const CommandCall *call;
	int64		watched;		/* when it was watched last */
	bool		deadlock;		/* a session that the statement waits for
								 * waits for it */
	int			circles;		/* number of looks in a row that saw one */
	char	   *blockers;		/* marks of the sessions of the circle, if it
								 * is one, else NULL */
	MemoryContext caller;		/* for blockers */
} CommandWait;

/*
 * A session that the statement waits for may wait for a lock of this session:
 * tools keep an advisory lock while they run a migration.  The server does not
 * see the circle, since this process waits for no lock.
 */
static bool
command_waits_for_us(CommandWait *wait, int pid)
{
	MemoryContext caller;

	wait->circles = wait_chain_leads_to(pid, MyProcPid) ? wait->circles + 1 : 0;
	if (wait->circles < WAIT_CHAIN_LOOKS)
		return false;
	caller = MemoryContextSwitchTo(wait->caller);
	wait->blockers = blockers_of(pid);
	MemoryContextSwitchTo(caller);
	return wait->blockers != NULL;
}

/* A statement that takes no longer than a moment is not watched. */
static bool
command_is_over(void *arg)
{
	CommandWait *wait = arg;
	CommandState state = command_state(command.segment);
	pid_t		pid = 0;
	BgwHandleStatus status;

	if (state == COMMAND_DONE || state == COMMAND_LEFT)
		return true;
	status = GetBackgroundWorkerPid(command.handle, &pid);
	if (status == BGWH_STARTED && clock_ms_since(wait->watched) >= wait->call->watch_every_ms)
	{
		wait->watched = clock_now();
		wait->call->watch(pid, wait->call->arg);
		/* the worker itself has looked before he came to wait */
		wait->deadlock = wait_chain_leads_to(pid, pid);
		return wait->deadlock || command_waits_for_us(wait, pid);
	}
	return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

static char *
text_or_null(const char *text)
{
	return text[0] ? pstrdup(text) : NULL;
}

static ErrorData *
make_command_error(int sqlerrcode, const char *message, const char *hint)
{
	ErrorData  *error = palloc0(sizeof(ErrorData));

	error->elevel = ERROR;
	error->sqlerrcode = sqlerrcode;
	error->message = pstrdup(message);
	error->hint = hint ? pstrdup(hint) : NULL;
	error->assoc_context = CurrentMemoryContext;
	return error;
}

static const char *
command_name(const CommandCall *call)
{
	return call->migration ? "a statement of the migration" : "a statement of the script";
}

/* For a worker that ended before it could report why. */
static ErrorData *
connection_error(const CommandCall *call)
{
	ErrorData  *error = make_command_error(ERRCODE_ADMIN_SHUTDOWN,
										   psprintf("the worker for %s could not connect", command_name(call)),
										   NULL);

	process_explain_failure(&command.order, &error->detail, &error->hint);
	return error;
}

static ErrorData *
error_of_command(const CommandCall *call)
{
	const CommandSegment *segment = command.segment;
	ErrorData  *error;

	switch (command_state(command.segment))
	{
		case COMMAND_ORDERED:
			return connection_error(call);
		case COMMAND_STARTED:
			return make_command_error(ERRCODE_ADMIN_SHUTDOWN,
									  psprintf("the worker that ran %s was terminated", command_name(call)),
									  call->migration ? "CALL tandem.migrate again: it goes on where it was. The server's log tells more."
									  : "The server's log tells more.");
		case COMMAND_DONE:
		case COMMAND_LEFT:
			return NULL;
		case COMMAND_FAILED:
			break;
	}
	error = make_command_error(segment->sqlerrcode, segment->message, NULL);
	error->detail = text_or_null(segment->detail);
	error->hint = text_or_null(segment->hint);
	error->context = text_or_null(segment->context);
	return error;
}

/*
 * The other session would be the one that finds the deadlock, after its
 * deadlock_timeout.
 */
static ErrorData *
end_deadlock(const CommandCall *call)
{
	terminate_command_worker();
	return make_command_error(ERRCODE_T_R_DEADLOCK_DETECTED,
							  psprintf("%s and another session wait for each other", command_name(call)),
							  "Call it again when the statement of that session has ended.");
}

static ErrorData *
end_circle(const CommandCall *call, const char *blockers)
{
	const Migration *migration = call->migration;
	ErrorData  *error;

	error = make_command_error(ERRCODE_T_R_DEADLOCK_DETECTED,
							   psprintf("%s waits for a session that waits for this one",
										migration ? psprintf("a statement of migration \"%s\"", migration->name)
										: command_name(call)),
							   migration ? psprintf("End that session, or run the migration where this session holds no lock: CALL tandem.migrate(%s, background => true);",
													quote_literal_cstr(migration->name))
							   : "End that session, or call it where this session holds no lock.");
	error->detail = psprintf("It waits for: %s.", lock_describe_marks(blockers));
	terminate_command_worker();
	return error;
}

/*
 * Waits for the statement to end.  A worker that was reused and has ended before
 * it began was terminated while it was idle.
 */
static ErrorData *
wait_for_command(const CommandCall *call, bool *gave_way, bool *not_begun)
{
	CommandWait wait = {
		.call = call,
		.watched = clock_now(),
		.caller = CurrentMemoryContext
	};
	ErrorData  *error;

	transaction_poll(command_is_over, &wait, call->watch_every_ms, 0);
	if (wait.blockers)
		return end_circle(call, wait.blockers);
	*not_begun = !wait.deadlock && command.reused &&
		command_state(command.segment) == COMMAND_ORDERED;
	error = wait.deadlock ? end_deadlock(call) : error_of_command(call);
	*gave_way = error && error_passes_with_others(error);
	return error;
}

static ErrorData *
run_command_in_worker(const CommandCall *call, const ProcessOrder *order, bool *gave_way)
{
	ErrorData  *error = NULL;
	bool		not_begun = false;

	do
	{
		if (!give_to_command_worker(order, call) && !start_command_worker(order, call))
			return make_command_error(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
									  "no background worker is free",
									  psprintf(PROCESS_NONE_FREE_HINT, max_worker_processes));
		error = wait_for_command(call, gave_way, &not_begun);
		if (error)
			command_end();
	} while (not_begun);
	return error;
}

static ErrorData *
run_call(const CommandCall *call, const ProcessOrder *order, bool *gave_way)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *error = NULL;

	*gave_way = false;
	PG_TRY();
	{
		error = run_command_in_worker(call, order, gave_way);
	}
	PG_CATCH();
	{
		command_end();
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return error;
}

ErrorData *
command_run(const Migration *migration, const char *sql, Oid relid,
			bool gentle, CommandWatch watch, void *arg, bool *gave_way)
{
	CommandCall call = {
		.migration = migration,
		.sql = sql,
		.relation = relid,
		.watch = watch,
		.watch_every_ms = WATCH_EVERY_MS,
		.arg = arg
	};
	ProcessOrder order;
	Oid			owner = authority_table_owner(relid);

	*gave_way = false;
	if (!OidIsValid(owner))
		return make_command_error(ERRCODE_UNDEFINED_TABLE,
								  psprintf("table with OID %u was dropped meanwhile", relid),
								  "CALL tandem.migrate again: it goes on without it.");
	process_order_init(&order, owner);
	order.migration_id = migration->id;
	order.gentle = gentle;
	return run_call(&call, &order, gave_way);
}

typedef struct OwnCommand
{
	CommandCall call;
	ProcessOrder order;
	ErrorData  *error;
} OwnCommand;

static void
run_own(void *arg)
{
	OwnCommand *own = arg;
	bool		gave_way;

	own->error = run_call(&own->call, &own->order, &gave_way);
}

static void
end_own(void *arg)
{
	command_end();
}

/* A session that has connected as a superuser is not for the text of others. */
ErrorData *
command_run_own(const char *sql, int lock_timeout_ms, CommandWatch watch, void *arg)
{
	OwnCommand	own = {
		.call = {
			.sql = sql,
			.search_path = namespace_search_path,
			.lock_timeout_ms = lock_timeout_ms,
			.watch = watch,
			.watch_every_ms = WATCH_OWN_EVERY_MS,
			.arg = arg
		}
	};

	if (strlen(namespace_search_path) >= TEXT_SIZE)
		return make_command_error(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
								  psprintf("search_path has more than %d bytes, which cannot be passed to a worker", TEXT_SIZE - 1),
								  "Set a shorter search_path, or leave that statement out.");
	process_order_init(&own.order, GetUserId());
	if (own.order.borrowed)
		return make_command_error(ERRCODE_FEATURE_NOT_SUPPORTED,
								  psprintf("a worker cannot connect as role \"%s\"", GetUserNameFromId(own.order.role, false)),
								  "Call it as a role that can log in and may connect to this database, or leave that statement out.");
	process_with_cleanup(run_own, end_own, &own);
	return own.error;
}
