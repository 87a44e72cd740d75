/*
 * sync.h
 *		A row of tandem.sync: one dual-write rule as the user wrote it.
 */
#ifndef TANDEM_CATALOG_SYNC_H
#define TANDEM_CATALOG_SYNC_H

#include "nodes/pg_list.h"

typedef enum OnConflict
{
	ON_CONFLICT_ERROR,
	ON_CONFLICT_NEW,
	ON_CONFLICT_OLD
} OnConflict;

typedef struct SyncRule
{
	int			id;
	int			migration_id;
	char	   *migration;		/* name */
	int			release;		/* of the migration; 0: not given */
	Oid			relation;
	List	   *old_columns;	/* of char * */
	List	   *new_columns;
	List	   *up;				/* expressions, qualified, one a new column */
	List	   *down;			/* one an old column, NULL where it has none;
								 * NIL: one-way */
	List	   *up_given;		/* both as the user wrote them */
	List	   *down_given;
	OnConflict	on_conflict;
	bool		quarantine;		/* on_error => 'quarantine' */
	bool		keep_old;
	bool		stored;			/* false: the new columns are only in views */
	char	   *origin;			/* files whose short rows are unfilled: see
								 * sync/fill_mark.h */
	bool		filled;			/* every row has been, once */
	char	   *search_path;	/* of the session that made the sync */
} SyncRule;

extern const char *on_conflict_name(OnConflict on_conflict);

/* Errors: not one of error, new, old. */
extern OnConflict on_conflict_from_name(const char *name);

/* Errors: not one of error, quarantine. */
extern bool quarantine_from_name(const char *on_error);

/* Adds the rule; sets its id. */
extern void sync_insert(SyncRule *rule);

/* The stored rules of live migrations on a relation, oldest first. */
extern List *sync_list_of_relation(Oid relid);

/* The stored rules of a migration; and all of them. */
extern List *sync_list_of_migration(int migration_id);
extern List *sync_list_recorded(int migration_id);

/*
 * The rules on a relation that are not stored and that the release sees: the
 * last of those that show one old column.
 */
extern List *sync_list_unstored(Oid relid, int release);

/* One stored rule, or NULL; *live tells whether its migration has not ended. */
extern SyncRule *sync_get(int id, bool *live);

/*
 * Sets the origin of a rule.  "" forgets it: writes may have passed by the
 * trigger, so that the length of a row does not tell any more that it is
 * filled.
 */
extern void sync_set_origin(const SyncRule *rule, const char *origin);

/*
 * Notes that every row has been filled.  It stays noted: what a partition that
 * is attached later brings is filled while the new columns are in use.
 */
extern void sync_note_filled(const SyncRule *rule);

/*
 * The relations of a migration: of its syncs, and those that it adds columns,
 * indexes or constraints to.
 */
extern List *sync_relations_of_migration(int migration_id);

/* The relations with a live rule. */
extern List *sync_relations_live(void);

#endif							/* TANDEM_CATALOG_SYNC_H */
