/*
 * quarantine_retry.h
 *		Tries the rows in quarantine again.
 */
#ifndef TANDEM_QUARANTINE_RETRY_H
#define TANDEM_QUARANTINE_RETRY_H

#include "catalog/migration.h"

/*
 * Tries every row in quarantine of the migration again, from a procedure with
 * a non-atomic SPI connection: it commits now and then.  Those that are right now, or gone, leave it.  Returns how many
 * are left.
 */
extern int64 quarantine_retry(Migration *migration);

#endif							/* TANDEM_QUARANTINE_RETRY_H */
