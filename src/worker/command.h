/*
 * command.h
 *		A statement that must run at top level, run by a worker of its own.
 */
#ifndef TANDEM_COMMAND_H
#define TANDEM_COMMAND_H

#include "catalog/migration.h"

typedef struct CommandError
{
	int			sqlerrcode;
	char	   *message;
	char	   *detail;			/* or NULL, as the others */
	char	   *hint;
	char	   *context;
} CommandError;

/*
 * Called twice a second while the statement runs in process pid; may raise.
 * What it allocates goes with the call.
 */
typedef void (*CommandWatch) (int pid, void *arg);

/*
 * Runs one statement for the table relid at top level, as the owner of the table
 * (see top_level_run), and waits for its end; returns its error, palloc'd, or
 * NULL.  The caller has a non-atomic SPI connection, and has just committed: it
 * must hold no snapshot and no lock on a table, or CREATE INDEX CONCURRENTLY
 * would wait for it.  Gentle: VACUUM and ANALYZE rest as autovacuum does by
 * default.  When the caller is cancelled or dies the statement is too.
 */
extern CommandError *command_run(const Migration *migration, const char *sql,
								 Oid relid, bool gentle, CommandWatch watch,
								 void *arg);

/* Raises it as an error of this session. */
extern void command_raise(const CommandError *error);

#endif							/* TANDEM_COMMAND_H */
