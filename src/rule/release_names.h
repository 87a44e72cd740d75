/*
 * release_names.h
 *		The names under which a text that a user gives knows the columns of a
 *		table: those of the release that it belongs to.
 */
#ifndef TANDEM_RELEASE_NAMES_H
#define TANDEM_RELEASE_NAMES_H

#include "nodes/pg_list.h"

#include "catalog/sync.h"

typedef struct ReleaseNames
{
	Oid			relation;
	List	   *first;			/* rules that rename columns, see
								 * catalog/renamed_column.h */
	List	   *otherwise;		/* those of the release that only its own
								 * texts know */
	List	   *gone;			/* rules whose old columns the release does
								 * not know */
	const char *known_by;		/* who knows these names, as messages say it;
								 * NULL: all names of the table are known, too */
	char	   *hint;			/* if a column of gone is named; NULL: the
								 * usual */
} ReleaseNames;

/*
 * Returns the names that up of a migration of that release (0: it has none) knows:
 * those of the release before.
 */
extern ReleaseNames release_names_before(int release, Oid relid);

/* Returns the names that everything else knows, those of the release. */
extern ReleaseNames release_names_after(int release, Oid relid);

/* The same for down of rule, which sees its own old columns besides. */
extern ReleaseNames release_names_of_down(const SyncRule *rule);

/*
 * Returns the names in what the server writes of an object that the migration carries
 * over: a column that it changes is the new one, all else is called as in the table.
 */
extern ReleaseNames release_names_carried(int migration_id, int release, Oid relid);

/*
 * Returns the name in the table; one that is not known is returned as it is.  For
 * the name of a column that a call works on.
 */
extern char *release_names_stored(const ReleaseNames *names, char *name);

/* The same for a list of char *. */
extern List *release_names_stored_list(const ReleaseNames *names, List *list);

/* Errors: the release does not know a column by that name. */
extern void release_names_check(const ReleaseNames *names, const char *name);

/* Both for a list of String, of which a definition is made. */
extern List *release_names_stored_values(const ReleaseNames *names, List *list);

/*
 * Puts the names in the table into what the parser has made of a text, a raw
 * expression or a list of such.  Errors: those of release_names_check.
 */
extern void release_names_apply(const ReleaseNames *names, Node *raw);

#endif							/* TANDEM_RELEASE_NAMES_H */
