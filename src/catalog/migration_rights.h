/*
 * migration_rights.h
 *		Who may act on a migration, and deletion of ended migrations.
 */
#ifndef TANDEM_MIGRATION_RIGHTS_H
#define TANDEM_MIGRATION_RIGHTS_H

#include "catalog/migration.h"

/*-------------------------------------------------------------------------
 * Who may act on a migration.
 *
 * It takes the rights of the current owner of each of its tables, partitions
 * included.  A migration without tables belongs to its creator.  A role that
 * was dropped confers nothing.
 *-------------------------------------------------------------------------
 */

/* What is to be done; one more role may abort. */
typedef enum MigrationRight
{
	RIGHT_TO_ACT,
	RIGHT_TO_ABORT				/* also for the owner of the database */
} MigrationRight;

/* Has it a table, even one that was dropped? */
extern bool migration_has_table(const Migration *migration);

/* May the role act on the migration? */
extern bool migration_role_may_act(const Migration *migration, Oid role);

/* Throws an error unless the current user has the right. */
extern void migration_check_rights(const Migration *migration,
								   MigrationRight right);

/*
 * Throws an error unless the current user may run the script again that has
 * created the migration: it is the creator, or was granted that role.  Being
 * superuser does not count, since a superuser's script must not continue what
 * another role has started under that name.  A migration that is done cannot
 * be changed any more, so members of the owners of its tables may run its
 * script, too.
 */
extern void migration_check_repeat(const Migration *migration);

/*-------------------------------------------------------------------------
 * What is kept of ended migrations, and its deletion.
 *
 * Its records about rows are deleted when it ends (migration_forget_rows).
 * What is kept longer is needed to compare a script that is run again, and to
 * tell what each release and its views have.
 *-------------------------------------------------------------------------
 */

/*
 * Deletes what is kept of an ended migration except its history.  A migration
 * that is done and has a release keeps its row, rules and columns, which
 * releases and their views depend on, and is marked as forgotten; a script
 * that is run again skips it without comparing.  Errors: another session is
 * deleting it.
 */
extern void migration_forget(const Migration *migration);

/*
 * For a migration that this transaction has created: deletes all rows that
 * refer to its id, which the owner of the database may have loaded before it
 * existed (see api/load_row.c), and prevents more.
 */
extern void migration_begin_empty(const Migration *migration);

/*
 * Implements tandem.forget_after.  Of migrations that ended that long ago,
 * deletes aborted ones, and of others the steps without a definition.  Never
 * waits.
 */
extern void migration_forget_old(void);

#endif							/* TANDEM_MIGRATION_RIGHTS_H */
