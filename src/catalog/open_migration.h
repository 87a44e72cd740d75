/*
 * open_migration.h
 *		Whether any migration is open in this database.
 */
#ifndef TANDEM_OPEN_MIGRATION_H
#define TANDEM_OPEN_MIGRATION_H

/*
 * Asked at each DDL command of the database, so it is a look into an index and
 * no query.  Also false where the extension is on its way in or out.
 */
extern bool open_migration_exists(void);

#endif							/* TANDEM_OPEN_MIGRATION_H */
