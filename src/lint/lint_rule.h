/*
 * lint_rule.h
 *		The rules of tandem.lint: what is wrong with a statement of a script, and what to
 *		do instead.
 */
#ifndef TANDEM_LINT_RULE_H
#define TANDEM_LINT_RULE_H

#include "lint/effect.h"
#include "lint/script.h"

struct LintRule;

/* A statement that is looked at, and what is known where it stands. */
typedef struct Lint
{
	ScriptTables *tables;
	const ScriptStatement *statement;
	List	   *effects;		/* of Effect */
	AlterTableCmd *command;		/* of an ALTER TABLE, for rules about
								 * commands; else NULL */
	ScriptTable *table;			/* of the ALTER TABLE; NULL if it is not there */
	bool		in_transaction; /* with the statements before it */
	bool		begun;			/* by a BEGIN of the script */
	bool		has_lock_timeout;	/* the script or the session has set one */
	bool		told_lock_timeout;
	const struct LintRule *rule;	/* that is being asked */
	void		(*report) (struct Lint *lint, const char *severity, const char *rule, ScriptTable *table,
						   const char *message, const char *advice);
	void	   *result;			/* of report */
} Lint;

/* Has every rule look at the statement, and report what it finds. */
extern void lint_statement(Lint *lint);

/* Has the rules about whole scripts look at its end: is a transaction open? */
extern void lint_end(Lint *lint);

/*
 * Is it a statement that the server refuses in a transaction block, since it commits on the
 * way?
 */
extern bool lint_is_top_level(ScriptTables *tables, Node *statement);

#endif							/* TANDEM_LINT_RULE_H */
