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
	List	   *otherwise;		/* for names that are then still unknown */
} ReleaseNames;

/*
 * Returns the names that up of a migration of that release (0: it has none) knows:
 * those of the release before, and besides those that the migration has given.
 */
extern ReleaseNames release_names_before(int release, Oid relid);

/* Returns the names that everything else knows, those of the release. */
extern ReleaseNames release_names_after(int release, Oid relid);

/* Returns the name in the table; one that is not known is returned as it is. */
extern char *release_names_stored(const ReleaseNames *names, char *name);

/* The same for a list of char *, and for one of String. */
extern List *release_names_stored_list(const ReleaseNames *names, List *list);
extern List *release_names_stored_values(const ReleaseNames *names, List *list);

/*
 * Puts the names in the table into what the parser has made of a text, a raw
 * expression or a list of such.
 */
extern void release_names_apply(const ReleaseNames *names, Node *raw);

#endif							/* TANDEM_RELEASE_NAMES_H */
