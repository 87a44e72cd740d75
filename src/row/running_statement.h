/*
 * running_statement.h
 *		The statements that this process is executing and that may fire row
 *		triggers.
 */
#ifndef TANDEM_RUNNING_STATEMENT_H
#define TANDEM_RUNNING_STATEMENT_H

#include "executor/execdesc.h"
#include "nodes/parsenodes.h"

typedef struct RunningStatement
{
	struct RunningStatement *outer; /* the statement that it runs within */
	MemoryContext context;		/* in which it calls row triggers */
	QueryDesc  *query;			/* being executed; or NULL */
	CopyStmt   *copy;			/* COPY FROM; or NULL */
	List	   *targets;		/* for writer_statement.c, in context; lost
								 * when the executor is called again */
} RunningStatement;

/*
 * Returns the innermost statement that calls row triggers in that memory
 * context (fn_mcxt of the trigger), or NULL: the library was loaded after the
 * statement began, or the row is not written by a statement.  It is valid
 * until the trigger returns.
 */
extern RunningStatement *running_statement_find(MemoryContext context);

/*
 * Called from _PG_init.  Sets hooks, also if the library is loaded in the
 * middle of a statement.
 */
extern void running_statement_init(void);

#endif							/* TANDEM_RUNNING_STATEMENT_H */
