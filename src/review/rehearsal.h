/*
 * rehearsal.h
 *		A script, run for real and rolled back, and what it has really done.
 */
#ifndef TANDEM_REHEARSAL_H
#define TANDEM_REHEARSAL_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* What a call asks for.  A limit that is not given is negative, or NoLock. */
typedef struct RehearsalCall
{
	char	   *script;
	bool		keep;
	LOCKMODE	max_lock_mode;
	int64		max_lock_us;
	int64		max_rewrite_bytes;
} RehearsalCall;

/* What a statement has done, or to one relation. */
typedef struct RehearsalRow
{
	int			statement;
	int			line;
	const char *command;		/* its tag */
	char	   *relation;		/* NULL: the statement as a whole */
	Oid			relid;
	LOCKMODE	mode;			/* NoLock: predicted, but not seen */
	int64		since;			/* clock_now() when the statement began, */
	int64		until;			/* and when its transaction ended; 0: not yet */
	int			waiting;		/* the most at the end of a statement until
								 * then */
	int64		rewritten;
	int64		scans;
	bool		predicted;		/* by lint: a lock, */
	LOCKMODE	predicted_mode; /* in this mode */
	bool		predicted_rewrite;
	bool		predicted_scan;
	int64		predicted_bytes;	/* of the relation */
	bool		not_run;		/* the statement was passed over: what is
								 * predicted counts */
	int64		temp_bytes;		/* of the statement, as what follows */
	int64		wal_bytes;
	int64		us;
	int			sqlstate;		/* 0: it has not failed */
	char	   *message;		/* why it has failed, or was not run; or NULL */
} RehearsalRow;

typedef struct Rehearsal
{
	const RehearsalCall *call;
	List	   *rows;			/* of RehearsalRow */
	ErrorData  *error;			/* the error of the script, or NULL */
	int			error_line;
	char	   *exceeded;		/* what is above a limit, in lines; NULL:
								 * nothing */
	bool		kept;
	int64		id;				/* of the report, once stored */
} Rehearsal;

/*
 * Runs the script as the current user, in a subtransaction that is rolled back, unless it
 * is to be kept, has not failed, and is within the limits.  Allocates the result in the
 * current memory context.  Errors: those of the caller's statement being ended; it is
 * called within a rehearsal; the script drops the extension.
 */
extern Rehearsal *rehearsal_run(const RehearsalCall *call);

/* Stores the report of who for tandem.rehearsals. */
extern void rehearsal_store(Rehearsal *rehearsal, Oid who);

/* Throws the error of the script, or that a limit is exceeded; stored: it can be looked up. */
extern void rehearsal_raise(const Rehearsal *rehearsal, bool stored);

/* Returns what is above the limits of the call, in lines; NULL if nothing is. */
extern char *rehearsal_exceeded(const Rehearsal *rehearsal);

/* Returns the name of a mode, palloc'd. */
extern char *rehearsal_mode_name(LOCKMODE mode);

/* Returns the mode that a text names: AccessExclusiveLock, or ACCESS EXCLUSIVE. */
extern LOCKMODE rehearsal_lock_mode(const char *text);

#endif							/* TANDEM_REHEARSAL_H */
