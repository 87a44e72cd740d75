/*
 * process.h
 *		Background workers: starting one, and what each does first.
 */
#ifndef TANDEM_PROCESS_H
#define TANDEM_PROCESS_H

#include "postmaster/bgworker.h"
#include "storage/dsm_impl.h"

/*-------------------------------------------------------------------------
 * How many background workers one role may have at a time.
 *
 * Workers are the whole server's: one role must not have them all, over
 * however many migrations in however many databases.  Superusers are not limited.
 *-------------------------------------------------------------------------
 */

/*
 * Counts this process, a worker, to the role until it ends, or until a
 * transaction is aborted.  In a transaction.  False: others have been faster.
 */
extern bool quota_try(Oid role, bool spare);

/* Marks a function as the entry of a worker: process_start finds it by name. */
#define PROCESS_MAIN(name) \
	extern PGDLLEXPORT void name(Datum argument)

/* What a worker is told; it must fit into BGW_EXTRALEN bytes. */
typedef struct ProcessOrder
{
	Oid			database;
	Oid			role;			/* whose rights it has; invalid: the bootstrap
								 * superuser's */
	bool		borrowed;		/* it connects without that role, which
								 * cannot, and becomes it */
	Oid			payer;			/* role whose quota of workers it counts to */
	bool		spare;			/* it leaves one of them for statements */
	int			migration_id;
	int			runner;			/* whose run it works for; 0: its own */
	int			maintenance_work_mem;	/* kB, and the next: as in the session
										 * that wants the run; 0: its own */
	int			max_parallel_maintenance_workers;
	int			worker;			/* which one of workers; 0 is the runner */
	int			workers;
	int			step_kind;		/* that they share */
	Oid			relation;		/* table that the statement is for */
	bool		gentle;			/* VACUUM and ANALYZE are to rest now and then */
	dsm_handle	segment;
} ProcessOrder;

/*
 * An order for a worker in this database with the rights of role.  It connects
 * as that role; where the server would refuse, since the role cannot log in
 * (before 17) or lacks CONNECT, it connects as the bootstrap superuser and
 * becomes the role at once (authority_borrow_session).  It
 * counts to the quota of the current user.
 */
extern void process_order_init(ProcessOrder *order, Oid role);

/*
 * Why a worker of this order that has ended without a word could not connect,
 * as far as the catalogs tell, as a DETAIL and HINT of an error; the first is
 * never NULL.
 */
extern void process_explain_failure(const ProcessOrder *order, char **detail,
									char **hint);

/*
 * Starts a worker, which the postmaster does not restart; the caller is told
 * through its latch when it has started and ended.  The handle is in the
 * current memory context.  NULL: no worker is free, or not for that role.
 */
extern BackgroundWorkerHandle *process_start(const char *function,
											 const char *name,
											 const ProcessOrder *order);

/* For an ERROR after that. */
#define PROCESS_NONE_FREE_HINT \
	"Raise max_worker_processes (now %d), or wait until other workers have ended, then call it again; nothing is lost. " \
	"Of a role that is not superuser tandem.max_workers_per_role limits them, too."

/*
 * All of a worker: signals, connection, role, and settings that role or database
 * may have but that are wrong for long work; then its work.  An error of that
 * goes to the server's log, and ends the process; but where the extension was
 * dropped meanwhile there is nothing to do and nothing to say.
 */
extern void process_run(void (*work) (const ProcessOrder *order));

/*
 * Outside a transaction: whether the extension that was there when the process
 * began has been dropped, or made again, since.
 */
extern bool process_extension_is_gone(void);

/* Reads the configuration again if somebody asked to. */
extern void process_reload_settings(void);

/* Begins a transaction and connects; the next SPI_commit begins another. */
extern void session_begin(void);

/* Commits. */
extern void session_end(void);

/* After an error: ends whatever is open, and gives back all locks. */
extern void session_abort(void);

#endif							/* TANDEM_PROCESS_H */
