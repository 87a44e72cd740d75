/*
 * rehearsal_report.h
 *		What a rehearsal has seen: held against its limits, stored, and told as an error.
 */
#ifndef TANDEM_REHEARSAL_REPORT_H
#define TANDEM_REHEARSAL_REPORT_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* What a call asks for.  A limit that is not given is negative, or NoLock. */
typedef struct RehearsalCall
{
	char	   *script;
	bool		keep;
	bool		top_level;		/* statements of top level are run, by a
								 * worker */
	LOCKMODE	max_lock_mode;
	int64		max_lock_us;
	int64		max_rewrite_bytes;
	void		(*look) (void *arg);	/* NULL, or what is called when the
										 * script has been run without error,
										 * before it is rolled back */
	void	   *look_arg;
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
	int64		scans;			/* -1: not seen */
	bool		predicted;		/* by lint: a lock, */
	LOCKMODE	predicted_mode; /* in this mode */
	bool		predicted_rewrite;
	bool		predicted_scan;
	int64		predicted_bytes;	/* of the relation */
	int64		temp_bytes;		/* of the statement, as what follows */
	int64		wal_bytes;		/* -1, as those before: not seen */
	int64		us;
	bool		passed_over;	/* the statement was not run: what is
								 * predicted counts */
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
	int			kept_until;		/* the line of the last statement of top
								 * level, before which all is kept; 0: none */
	int64		id;				/* of the report, once stored */
} Rehearsal;

/* Returns what is above the limits of the call, in lines; NULL if nothing is. */
extern char *rehearsal_exceeded(const Rehearsal *rehearsal);

/* Stores the report of who for tandem.rehearsals. */
extern void rehearsal_store(Rehearsal *rehearsal, Oid who);

/* Throws the error of the script, or that a limit is exceeded; stored: it can be looked up. */
extern void rehearsal_raise(const Rehearsal *rehearsal, bool stored);

/* Returns the mode that a text names: AccessExclusiveLock, or ACCESS EXCLUSIVE. */
extern LOCKMODE rehearsal_lock_mode(const char *text);

/* Returns the name of a mode, palloc'd: AccessExclusiveLock. */
extern char *rehearsal_mode_name(LOCKMODE mode);

#endif							/* TANDEM_REHEARSAL_REPORT_H */
