/*
 * retry.h
 *		Tries the quarantined rows of a migration again.
 */
#ifndef TANDEM_RETRY_H
#define TANDEM_RETRY_H

#include "catalog/migration.h"

/*
 * Tries again, table by table, the rows whose notes snapshot before shows (see
 * quarantine_snapshot).  tandem.progress shows it in the line of the table's
 * backfill.  The caller has a non-atomic SPI connection and has just
 * committed.  Errors: another session has asked to stop; any error on a row.
 */
extern void retry_run(Migration *migration, const char *before);

#endif							/* TANDEM_RETRY_H */
