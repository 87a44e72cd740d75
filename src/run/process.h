/*
 * process.h
 *		Starts background workers, and does what each worker does first.
 */
#ifndef TANDEM_PROCESS_H
#define TANDEM_PROCESS_H

#include "access/htup.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"
#include "storage/dsm_impl.h"

/*-------------------------------------------------------------------------
 * The number of background workers that a role may have at a time.
 *
 * All databases of a server share its workers, so one role must not occupy all
 * of them, with however many migrations.  Superusers are not limited.
 *-------------------------------------------------------------------------
 */

/*
 * Counts this process, a worker, towards the role's quota until it exits or a
 * transaction is aborted.  With spare, leaves one worker for statements at top
 * level.  Call in a transaction.  Returns false if the quota is used up.
 */
extern bool quota_try(Oid role, bool spare);

/* Defines the main function of a worker, which process_start finds by name. */
#define PROCESS_MAIN(name) \
	extern PGDLLEXPORT void name(Datum argument)

/* The order for a worker.  It must fit into BGW_EXTRALEN bytes. */
typedef struct ProcessOrder
{
	Oid			database;
	Oid			role;			/* the worker has its rights; InvalidOid for
								 * the bootstrap superuser */
	bool		borrowed;		/* the role cannot connect: connect as
								 * bootstrap superuser and switch to it */
	Oid			payer;			/* role whose quota the worker counts towards */
	bool		spare;			/* leave one worker of the quota for
								 * statements */
	int			migration_id;
	int			runner;			/* process id of the runner it works for, or 0 */
	int			maintenance_work_mem;	/* kB, as is the next; from the
										 * requesting session; 0 for the
										 * worker's own */
	int			max_parallel_maintenance_workers;
	int			worker;			/* number of the worker; 0 is the runner */
	int			workers;
	int			step_kind;		/* kind of the steps to run */
	int			act;			/* RegionAct to announce, or 0 */
	int			release;		/* of the act */
	TransactionId after;		/* wait until it has ended, if it is valid */
	bool		gentle;			/* VACUUM and ANALYZE use a cost delay */
	dsm_handle	segment;
} ProcessOrder;

/*
 * Initializes an order for a worker in this database with the rights of role.
 * It connects as that role.  If the server would not allow that, since the
 * role cannot log in (before 17) or lacks CONNECT, it connects as the
 * bootstrap superuser and switches to the role at once
 * (authority_borrow_session).  It counts towards the quota of the current
 * user.
 */
extern void process_order_init(ProcessOrder *order, Oid role);

/*
 * Returns, as DETAIL and HINT, why a worker of this order that has ended
 * without an answer could not connect, as far as the catalogs tell; both are
 * palloc'd.
 */
extern void process_explain_failure(const ProcessOrder *order, char **detail,
									char **hint);

/*
 * Starts a worker, which the postmaster does not restart.  The caller's latch
 * is set when it has started and when it has ended.  The handle is in the
 * current memory context.  Returns NULL if no worker is free, or none for that
 * role.
 */
extern BackgroundWorkerHandle *process_start(const char *function,
											 const char *name,
											 const ProcessOrder *order);

/* Hint for an error when process_start has returned NULL. */
#define PROCESS_NONE_FREE_HINT \
	"Raise max_worker_processes (now %d), or wait until other workers have ended, then call it again; nothing is lost. " \
	"Of a role that is not superuser tandem.max_workers_per_role limits them, too."

/*
 * The frame of a worker: signal handlers, connection, role, and settings that
 * the role or database may have but that do not fit long work; then calls
 * work.  An error is written to the server's log and ends the process, but is
 * ignored if the extension has been dropped meanwhile.
 */
extern void process_run(void (*work) (const ProcessOrder *order));

/*
 * Has the extension been dropped, or dropped and created again, since the
 * process started?  Call outside a transaction.
 */
extern bool process_extension_is_gone(void);

/*
 * Sets search_path, until it is set again, as it was noted when the table of the
 * migration was expanded, or else another one of it.  Call it as the owner of the
 * table only, whose text is what it leads to.
 */
extern void process_take_expand_path(int migration_id, Oid relid);

/*
 * Calls work(arg), and then cleanup(arg), also after an error and where the
 * process exits meanwhile; then cleanup must not wait.  The server's
 * PG_ENSURE_ERROR_CLEANUP is not for work that runs statements: it fails where
 * something in between has registered a callback, as the first temporary table
 * of a session does.
 */
extern void process_with_cleanup(void (*work) (void *),
								 void (*cleanup) (void *), void *arg);

/* Reads the configuration files again if a reload was requested. */
extern void process_reload_settings(void);

/*
 * Returns the databases that database_of, which may return InvalidOid, takes from
 * the rows of a shared catalog, each once, in the current memory context.  For a
 * process that is in no database, outside a transaction.
 */
extern List *process_list_databases(Oid catalog, Oid (*database_of) (HeapTuple));

/*
 * Starts a transaction and connects to SPI; each SPI_commit starts the next
 * one.
 */
extern void session_begin(void);

/* Commits and disconnects. */
extern void session_end(void);

/* Call after an error: ends all that is open and releases all locks. */
extern void session_abort(void);

#endif							/* TANDEM_PROCESS_H */
