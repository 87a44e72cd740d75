/*
 * migration_forget.h
 *		What is kept of migrations that have ended, and how it goes.
 *
 * What they kept of rows goes with their end (migration_forget_rows).  What a
 * script that is run again is compared with, and what tells releases and their
 * views what each has, stays.
 */
#ifndef TANDEM_MIGRATION_FORGET_H
#define TANDEM_MIGRATION_FORGET_H

#include "catalog/migration.h"

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

#endif							/* TANDEM_MIGRATION_FORGET_H */
