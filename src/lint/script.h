/*
 * script.h
 *		A script as psql or a migration tool reads it: its statements, one after the other.
 */
#ifndef TANDEM_SCRIPT_H
#define TANDEM_SCRIPT_H

#include "nodes/parsenodes.h"

typedef struct ScriptStatement
{
	int			number;			/* from 1; meta-commands of psql count */
	int			line;			/* of its first word, from 1 */
	char	   *text;			/* without the semicolon */
	int			text_from;		/* where it begins in text; 0 of a script */
	Node	   *parsed;			/* as the grammar reads it; NULL if skipped,
								 * or wrong */
	char	   *skipped;		/* why nothing can be said about it, or NULL */
	char	   *error;			/* what is wrong with its syntax, or NULL */
	int			error_line;
} ScriptStatement;

/*
 * Reads a script: returns its statements, of ScriptStatement, in the current memory context.
 *
 * A meta-command of psql is a statement of its own, skipped, and so is a statement
 * with a variable of psql: what it will be is not known.  The rows behind a COPY FROM
 * STDIN are passed over.  No name is looked up.  Needs a transaction; subtransactions
 * are used where the text has an error.
 */
extern List *script_read(const char *script);

/* The line of the script in which a character of the statement stands, counted from 1. */
extern int	script_line_of_position(const ScriptStatement *statement, int position);

#endif							/* TANDEM_SCRIPT_H */
