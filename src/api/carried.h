/*
 * carried.h
 *		What stands on a column that is changed, carried over to its twin.
 */
#ifndef TANDEM_CARRIED_H
#define TANDEM_CARRIED_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"
#include "catalog/sync.h"

typedef struct Carrying
{
	const SyncRule *rule;		/* of change_column */
	bool		word_for_word;	/* the values are the same, in another type */
	List	   *carry;			/* names of objects, of char * */
	List	   *leave;
} Carrying;

/*
 * Gives the twin, which exists, with its rule, what its column has: comment,
 * privileges, statistics target, storage, compression, options; and schedules what
 * is built for it: indexes, constraints, statistics.  What depends on the values,
 * where these are others, is only noted, and told in a WARNING, unless carry names
 * it.  Errors: a name is of nothing; what would be built does not fit the new type.
 */
extern void carry_over(Migration *migration, const Carrying *carrying);

/*
 * Decides what was noted so, of the rule's table, as carry and leave say.  Returns
 * false if neither names any of it.
 */
extern bool carry_decide(Migration *migration, const Carrying *carrying);

/*
 * Returns the name under which an object, kind "index" or "constraint", is to be built:
 * if it has that of one that was noted so, another one, until contract gives it back;
 * palloc'd.
 */
extern char *carried_build_name(Migration *migration, Oid relid, char *kind,
								char *name);

/* Returns the name that contract gives to what is built under another one, or that one. */
extern char *carried_name(int migration_id, Oid relid, char *built);

/* The index is not to be built: the migration drops it. */
extern void carried_forget_index(Migration *migration, Oid relid, const char *name);

/* Throws an error if something is not decided. */
extern void carried_check_decided(const Migration *migration);

#endif							/* TANDEM_CARRIED_H */
