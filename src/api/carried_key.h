/*
 * carried_key.h
 *		Foreign keys between columns that are changed, and primary keys of them.
 */
#ifndef TANDEM_CARRIED_KEY_H
#define TANDEM_CARRIED_KEY_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/* A foreign key of one table that refers to a column. */
typedef struct ReferringKey
{
	Oid			relation;		/* a partition is that of the table at the top */
	char	   *column;			/* that refers to it */
	char	   *constraint;
} ReferringKey;

/*
 * Returns the foreign keys (of ReferringKey) that refer to a column that the migration
 * changes, from columns that it changes too, or that have the new type already.
 */
extern List *carried_keys_referring(const Migration *migration, Oid relid,
									const char *column);

/*
 * Returns the text of a foreign key over the columns that take the names of those that
 * the migration changes, palloc'd; NULL if the constraint does not refer to one of these.
 */
extern char *carried_key_text(const Migration *migration, Oid relid, const char *name);

/*
 * Has migrate build a foreign key of that definition, whose key may have still to be built; given
 * is what it is made of.
 */
extern void carried_key_add(Migration *migration, Oid relid, char *name, char *definition,
							char *given);

/*
 * At contract: drops the foreign keys that the keys carried over take the place of, before
 * columns go, and returns the tables (of Operation) whose primary key goes with a column;
 * carried_keys_become_primary makes what has its name by then the primary key.
 */
extern List *carried_keys_replace(const Migration *migration);
extern void carried_keys_become_primary(const Migration *migration, List *keys);

/*
 * Makes what was built for the primary key of a table that key, and of that a unique
 * constraint, until contract; back: the other way round.  The table is locked.
 */
extern void carried_keys_exchange(const Migration *migration, Oid relid, bool back);

#endif							/* TANDEM_CARRIED_KEY_H */
