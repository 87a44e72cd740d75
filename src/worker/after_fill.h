/*
 * after_fill.h
 *		What migrate does between the fill and the builds.
 */
#ifndef TANDEM_AFTER_FILL_H
#define TANDEM_AFTER_FILL_H

#include "catalog/migration.h"

/*
 * Marks the tables that are filled, makes the views of releases plain, and
 * tries the rows in quarantine again: a table, or some rows, in a transaction
 * of its own, told in tandem.progress where it takes time, and ended by
 * tandem.cancel like a batch.  The caller has a non-atomic SPI connection and
 * has just committed.  Returns how many rows are left in quarantine.  Errors:
 * another session asks to stop; a table could not be locked within
 * tandem.lock_retry_time; what a row raises.
 */
extern int64 after_fill_run(Migration *migration);

#endif							/* TANDEM_AFTER_FILL_H */
