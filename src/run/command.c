/*
 * command.c
 *		Runs a statement at top level in a background worker of its own.
 *
 * The statement and its error are passed in a dynamic shared memory segment,
 * which lives as long as the call.  A worker that dies leaves no answer in it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "catalog/migration_lock.h"
#include "core/authority.h"
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
#define TEXT_SIZE 2048

/* the default of autovacuum_vacuum_cost_delay */
#define GENTLE_COST_DELAY "2ms"

typedef enum CommandState
{
	COMMAND_ORDERED,			/* no worker has started it yet */
	COMMAND_STARTED,
	COMMAND_DONE,
	COMMAND_FAILED
} CommandState;

typedef struct CommandSegment
{
	CommandState state;
	int			sqlerrcode;
	char		message[TEXT_SIZE];
	char		detail[TEXT_SIZE];
	char		hint[TEXT_SIZE];
	char		context[TEXT_SIZE];
	char		statement[FLEXIBLE_ARRAY_MEMBER];
} CommandSegment;

typedef struct Command
{
	dsm_segment *memory;
	CommandSegment *segment;
	BackgroundWorkerHandle *handle;
} Command;

PROCESS_MAIN(tandem_command_main);

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
	segment->state = COMMAND_FAILED;
}

static void
run_command(const ProcessOrder *order)
{
	dsm_segment *memory;
	CommandSegment *segment;
	bool		joined;

	memory = dsm_attach(order->segment);
	if (memory == NULL)
		return;					/* the caller is gone */
	segment = dsm_segment_address(memory);
	segment->state = COMMAND_STARTED;
	StartTransactionCommand();
	joined = migration_join_workers(order->migration_id, order->runner);
	if (joined)
		process_take_expand_path(order->migration_id, order->relation);
	CommitTransactionCommand();
	if (!joined)
		return;					/* the caller is gone or has cancelled */
	lock_give_way();
	if (order->gentle)
		SetConfigOption("vacuum_cost_delay", GENTLE_COST_DELAY, PGC_USERSET,
						PGC_S_OVERRIDE);
	PG_TRY();
	{
		top_level_run(segment->statement, order->relation);
		segment->state = COMMAND_DONE;
	}
	PG_CATCH();
	{
		note_command_error(segment);
	}
	PG_END_TRY();
}

/* Main function of the worker. */
void
tandem_command_main(Datum argument)
{
	process_run(run_command);
}

static void
create_command_segment(Command *command, const char *sql)
{
	Size		length = strlen(sql) + 1;

	command->memory = dsm_create(offsetof(CommandSegment, statement) + length,
								 0);
	/* must outlive the transactions of the wait */
	dsm_pin_mapping(command->memory);
	command->segment = dsm_segment_address(command->memory);
	memset(command->segment, 0, offsetof(CommandSegment, statement));
	memcpy(command->segment->statement, sql, length);
}

/* Called however the caller ends. */
static void
end_command(int code, Datum arg)
{
	Command    *command = (Command *) DatumGetPointer(arg);

	if (command->handle)
	{
		TerminateBackgroundWorker(command->handle);
		/* a process that is exiting cannot wait */
		if (!proc_exit_inprogress)
			(void) WaitForBackgroundWorkerShutdown(command->handle);
	}
	dsm_detach(command->memory);
}

typedef struct CommandWait
{
	Command    *command;
	CommandWatch watch;
	void	   *arg;
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

static bool
command_is_over(void *arg)
{
	CommandWait *wait = arg;
	pid_t		pid = 0;
	BgwHandleStatus status = GetBackgroundWorkerPid(wait->command->handle, &pid);

	if (status == BGWH_STARTED)
	{
		wait->watch(pid, wait->arg);
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

/* For a worker that ended before it could report why. */
static ErrorData *
connection_error(const ProcessOrder *order)
{
	ErrorData  *error = make_command_error(ERRCODE_ADMIN_SHUTDOWN,
										   "the worker for a statement of the migration could not connect",
										   NULL);

	process_explain_failure(order, &error->detail, &error->hint);
	return error;
}

static ErrorData *
error_of_command(const Command *command, const ProcessOrder *order)
{
	const CommandSegment *segment = command->segment;
	ErrorData  *error;

	switch (segment->state)
	{
		case COMMAND_ORDERED:
			return connection_error(order);
		case COMMAND_STARTED:
			return make_command_error(ERRCODE_ADMIN_SHUTDOWN,
									  "the worker that ran a statement of the migration was terminated",
									  "CALL tandem.migrate again: it goes on where it was. The server's log tells more.");
		case COMMAND_DONE:
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
end_deadlock(Command *command)
{
	TerminateBackgroundWorker(command->handle);
	(void) WaitForBackgroundWorkerShutdown(command->handle);
	return make_command_error(ERRCODE_T_R_DEADLOCK_DETECTED,
							  "a statement of the migration and another session wait for each other",
							  "Call it again when the statement of that session has ended.");
}

static ErrorData *
end_circle(Command *command, const Migration *migration, const char *blockers)
{
	ErrorData  *error = make_command_error(ERRCODE_T_R_DEADLOCK_DETECTED,
										   psprintf("a statement of migration \"%s\" waits for a session that waits for this one",
													migration->name),
										   psprintf("End that session, or run the migration where this session holds no lock: CALL tandem.migrate(%s, background => true);",
													quote_literal_cstr(migration->name)));

	error->detail = psprintf("It waits for: %s.", lock_describe_marks(blockers));
	TerminateBackgroundWorker(command->handle);
	(void) WaitForBackgroundWorkerShutdown(command->handle);
	return error;
}

static ErrorData *
run_command_worker(Command *command, const Migration *migration, Oid relid,
				   bool gentle, CommandWatch watch, void *arg, bool *gave_way)
{
	ErrorData  *error;
	CommandWait wait = {
		.command = command,.watch = watch,.arg = arg,.caller = CurrentMemoryContext
	};
	ProcessOrder order;
	Oid			owner = authority_table_owner(relid);

	if (!OidIsValid(owner))
		return make_command_error(ERRCODE_UNDEFINED_TABLE,
								  psprintf("table with OID %u was dropped meanwhile", relid),
								  "CALL tandem.migrate again: it goes on without it.");
	process_order_init(&order, owner);
	order.migration_id = migration->id;
	order.relation = relid;
	order.gentle = gentle;
	order.segment = dsm_segment_handle(command->memory);
	command->handle = process_start("tandem_command_main", migration->name,
									&order);
	if (command->handle == NULL)
		return make_command_error(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
								  "no background worker is free",
								  psprintf(PROCESS_NONE_FREE_HINT, max_worker_processes));
	transaction_poll(command_is_over, &wait, WATCH_EVERY_MS, 0);
	if (wait.blockers)
		return end_circle(command, migration, wait.blockers);
	if (wait.deadlock)
		error = end_deadlock(command);
	else
		error = error_of_command(command, &order);
	*gave_way = error && error_passes_with_others(error);
	return error;
}

ErrorData *
command_run(const Migration *migration, const char *sql, Oid relid,
			bool gentle, CommandWatch watch, void *arg, bool *gave_way)
{
	MemoryContext caller = CurrentMemoryContext;
	Command    *command = palloc0(sizeof(Command));
	ErrorData  *error = NULL;

	create_command_segment(command, sql);
	PG_ENSURE_ERROR_CLEANUP(end_command, PointerGetDatum(command));
	{
		*gave_way = false;
		error = run_command_worker(command, migration, relid, gentle, watch,
								   arg, gave_way);
	}
	PG_END_ENSURE_ERROR_CLEANUP(end_command, PointerGetDatum(command));
	MemoryContextSwitchTo(caller);
	dsm_detach(command->memory);
	if (command->handle)
		pfree(command->handle);
	pfree(command);
	return error;
}
