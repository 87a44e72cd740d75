/*
 * lint.h
 *		A script, looked at statement by statement: what it would do to the tables as they
 *		are now.
 */
#ifndef TANDEM_LINT_H
#define TANDEM_LINT_H

#include "lint/effect.h"

/* The rule of those findings that tell what is locked. */
#define LINT_LOCKS "locks"

/* What is found in a statement; it lasts until the callback returns, but for the table. */
typedef struct LintFinding
{
	int			statement;
	int			line;
	const char *severity;
	const char *rule;
	ScriptTable *table;			/* NULL: it is about no table */
	const Effect *effect;		/* on the table; NULL: none, or not known */
	const char *message;
	const char *advice;			/* or NULL */
} LintFinding;

typedef void (*LintFound) (const LintFinding *finding, void *arg);

/*
 * Calls found with arg for each finding in the statements of a script (script_read), in their order.  Runs nothing, and
 * waits for no lock.  What the server cannot make sense of is a finding, no error.
 */
extern void lint_script(List *statements, LintFound found, void *arg);

#endif							/* TANDEM_LINT_H */
