/*
 * migration_rights.h
 *		Who may act on a migration, and who may have it forgotten.
 */
#ifndef TANDEM_MIGRATION_RIGHTS_H
#define TANDEM_MIGRATION_RIGHTS_H

#include "catalog/migration.h"

/*-------------------------------------------------------------------------
 * Who may act on a migration.
 *
 * To act on it one needs the rights of the owner of each of its tables,
 * partitions included, as they are owned now.  One without a table is its
 * creator's.  A role that is gone gives nothing away.
 *-------------------------------------------------------------------------
 */

/* What is to be done with it: its end may be asked for by one more. */
typedef enum MigrationRight
{
	RIGHT_TO_ACT,
	RIGHT_TO_ABORT				/* also the owner of the database */
} MigrationRight;

/* Whether it works on a table, were it one that is gone. */
extern bool migration_has_table(const Migration *migration);

/* Whether the role may act on the migration. */
extern bool migration_role_may_act(const Migration *migration, Oid role);

/* Errors unless the current user has the right. */
extern void migration_check_rights(const Migration *migration,
								   MigrationRight right);

/*
 * Errors unless the current user may run the script again that has created the
 * migration: it is the role that did, or was granted it.  That a superuser has
 * the rights of every role is no grant: a script that it runs must not go on
 * with what somebody else has begun under that name.  A migration that is done
 * changes nothing any more: who was granted the owners of its tables may run its
 * script, too.
 */
extern void migration_check_repeat(const Migration *migration);

/*-------------------------------------------------------------------------
 * What is kept of migrations that have ended, and how it goes.
 *
 * What they kept of rows goes with their end (migration_forget_rows).  What a
 * script that is run again is compared with, and what tells releases and their
 * views what each has, stays.
 *-------------------------------------------------------------------------
 */

/*
 * Removes what is kept of a migration that has ended, but for its history.  One
 * that is done and has a release keeps its row, rules and columns, from which
 * the releases and their views are told, and is forgotten: a script that is run
 * again passes it over unseen.  Errors: another session removes it.
 */
extern void migration_forget(const Migration *migration);

/*
 * Of a migration that this transaction has created: removes whatever stands
 * under its number, which the owner of the database may have loaded before
 * there was a migration (see api/load_row.c), and keeps more from coming.
 */
extern void migration_begin_empty(const Migration *migration);

/*
 * tandem.forget_after: of migrations that ended that long ago it removes the
 * aborted, and of the others the steps that have no definition.  Waits for
 * nobody.
 */
extern void migration_forget_old(void);

#endif							/* TANDEM_MIGRATION_RIGHTS_H */
