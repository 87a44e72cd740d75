/*
 * release_publication.h
 *		The publications of releases: the tables of a publication of the
 *		application, each with the columns that one release sees.
 */
#ifndef TANDEM_RELEASE_PUBLICATION_H
#define TANDEM_RELEASE_PUBLICATION_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/*
 * Creates the publication of a release, or brings it up to date, and returns its
 * name, palloc'd.  source names the publication whose tables, row filters and
 * options it takes over; NULL: that of the other publications of releases.  Takes
 * SHARE UPDATE EXCLUSIVE locks on the tables.  Errors: there is no source; the
 * caller lacks a right.
 */
extern char *release_publication_make(int release, char *source);

/*
 * A migration of the release begins.  Where this database has publications of
 * releases, creates that of the release: it must be older than whatever is written
 * under it, because the server decodes a change with the catalogs of then.
 */
extern void release_publication_begin(int release);

/*
 * Gives the tables in each of them the columns that its release sees.  Call when
 * these have changed, with the tables locked; ending is the id of the migration
 * that is about to drop columns, or 0.
 */
extern void release_publication_follow(List *relids, int ending);

/*
 * A command of a user has changed tables of the trees of roots, a list of OIDs,
 * and has them locked: gives these tables the columns that each release sees;
 * those of the list gone, which may have come to the source or left it, are put in
 * or taken out, locked or not.
 * Where the caller lacks a right, that is an error if an UPDATE would fail, else a
 * WARNING.
 */
extern void release_publication_table_changed(List *roots, List *gone);

/*
 * The same where tables have been added to the publication of that name, or taken
 * out, and it may be the source.  Tables of other sessions are waited for as for
 * release_publication_make.
 */
extern void release_publication_source_changed(const char *source);

/* Warns, once in a session, of a migration without a release of a table that is in the source. */
extern void release_publication_warn_without_release(const Migration *migration,
													 Oid relid);

/*
 * Tells who expands where the source has a list of columns of the table, the user's
 * own, that lacks columns which the migration adds.
 */
extern void release_publication_warn_of_list(const Migration *migration, Oid relid);

/*
 * Call after the phase of a migration that ends has changed and before its columns
 * are dropped.  Drops the publications of releases below retired (0: that of the
 * release which the abort has ended, if it has); takes the columns out of the
 * others.
 */
extern void release_publication_end(const Migration *migration, int retired);

/*
 * Throws the error that release_publication_end would throw because the caller does
 * not own a publication.  Call before anything is stopped or refused.
 */
extern void release_publication_check_end(const Migration *migration, int retired);

/*
 * Drops those that the caller owns, and forgets them.  Others stay, with a WARNING.
 * Errors: a subscription of this database takes one.
 */
extern void release_publication_drop_all(void);

/*
 * Has this database publications of releases?  release_publication_before returns
 * the highest release below the given one that has one, or 0.
 */
extern bool release_publication_exists(void);
extern int	release_publication_before(int release);

/*
 * Returns the release whose columns this database is to take once that release is
 * contracted: the highest from it on that has been expanded here and has a
 * publication.  Columns of a later one would not be taken otherwise, and not made
 * up for.  0: there are no publications of releases, or release is 0.
 */
extern int	release_publication_to_take(int release);

#endif							/* TANDEM_RELEASE_PUBLICATION_H */
