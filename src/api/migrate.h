/*
 * migrate.h
 *		Phase migrate, for a procedure that goes on with it.
 */
#ifndef TANDEM_MIGRATE_H
#define TANDEM_MIGRATE_H

/* The most workers that a run may have. */
#define MIGRATE_MOST_WORKERS 64

/*
 * Migrates in this session, with so many workers, as CALL tandem.migrate does.  The
 * caller may commit, and has no SPI connection.
 */
extern void migrate_here(char *migration, int workers);

#endif							/* TANDEM_MIGRATE_H */
