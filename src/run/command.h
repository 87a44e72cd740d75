/*
 * command.h
 *		A statement that must run at top level, run by a worker of its own.
 */
#ifndef TANDEM_COMMAND_H
#define TANDEM_COMMAND_H

#include "catalog/migration.h"

/*
 * Called twice a second while the statement runs in process pid, in a transaction
 * that is committed then; may raise.  What it allocates goes with the call.
 */
typedef void (*CommandWatch) (int pid, void *arg);

/*
 * Runs one statement for the table relid at top level, as the owner of the table
 * (see top_level_run), and waits for its end; returns its error, palloc'd, for
 * ThrowErrorData, or NULL.  The caller has a non-atomic SPI connection, and has
 * just committed: it must hold no snapshot and no lock on a table, or CREATE
 * INDEX CONCURRENTLY would wait for it.  Gentle: VACUUM and ANALYZE rest as
 * autovacuum does by default.  When the caller is cancelled or dies the
 * statement is too.
 */
extern ErrorData *command_run(const Migration *migration, const char *sql,
							  Oid relid, bool gentle, CommandWatch watch,
							  void *arg);

#endif							/* TANDEM_COMMAND_H */
